"""A checkup as JUnit XML, as CI systems read it: a test case for every rule that was judged."""

import re
from xml.etree import ElementTree

from fanin.checks import RULES, SEVERITIES, Checkup, Finding
from fanin.commands.formats._subject import ReportSubject, place

# What XML 1.0 cannot hold, not even escaped (its section 2.2).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(checkup: Checkup, subject: ReportSubject) -> str:
    """A test case fails by the findings at or above the subject's level; the others are told."""
    cases = [_case(id, checkup, subject) for id in subject.rules]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": "0",
        "skipped": "0",
    }
    name = _clean(f"fanin check {subject.name}")
    root = ElementTree.Element("testsuites", {"name": name, **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts})
    suite.extend(cases)
    ElementTree.SubElement(suite, "system-out").text = _clean(
        "\n".join([checkup.verdict, *checkup.notes])
    )
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _case(id: str, checkup: Checkup, subject: ReportSubject) -> ElementTree.Element:
    name = f"{id} {RULES[id].name}"
    case = ElementTree.Element("testcase", {"classname": _clean(subject.name), "name": name})
    found = [finding for finding in checkup.findings if finding.id == id]
    severe = SEVERITIES[SEVERITIES.index(subject.level) :]
    failing = [finding for finding in found if finding.severity in severe]
    told = [finding for finding in found if finding.severity not in severe]
    if failing:
        message = "; ".join(f"{place(finding)}: {finding.measured}" for finding in failing)
        kind = {"message": _clean(message), "type": failing[0].severity}
        ElementTree.SubElement(case, "failure", kind).text = _tell(failing)
    if told:
        ElementTree.SubElement(case, "system-out").text = _tell(told)
    return case


def _tell(findings: list[Finding]) -> str:
    return _clean("\n\n".join(map(str, findings)))


def _clean(text: str) -> str:
    """The text with what XML cannot hold written as Python writes it: \\x1b."""
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
