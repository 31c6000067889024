"""A checkup as SARIF 2.1.0, for code scanning.

Layers are logical locations. GitHub shows only results that have a physical one, too: the line
where the factory is written.
"""

import hashlib
from typing import Any
from urllib.parse import quote

import fanin
from fanin._json import json_text
from fanin.checks import RULES, Checkup, Finding, Rule
from fanin.commands.formats._subject import ReportSubject, place

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def render(checkup: Checkup, subject: ReportSubject) -> str:
    """One run with one result for every finding."""
    rules = [RULES[id] for id in subject.rules]
    driver = {"name": "fanin", "version": fanin.__version__, "rules": list(map(_rule, rules))}
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True}],
        "results": [_make_result(finding, subject) for finding in checkup.findings],
        "properties": {"verdict": checkup.verdict, "notes": list(checkup.notes)},
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json_text(log, indent=2)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.summary},
        "help": {"text": rule.explanation, "markdown": rule.explanation},
    }


def _make_result(finding: Finding, subject: ReportSubject) -> dict[str, Any]:
    name = f"{subject.name}.{finding.layer}" if finding.layer else subject.name
    logical = {"name": place(finding), "fullyQualifiedName": name, "kind": "member"}
    location: dict[str, Any] = {"logicalLocations": [logical]}
    if subject.file:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": quote(subject.file)},
            "region": {"startLine": subject.line},
        }
    # All results have the same line: without this GitHub would take them for one.
    fingerprint = hashlib.sha256(f"{finding.id}\0{name}".encode("utf-8", "replace")).hexdigest()
    return {
        "ruleId": finding.id,
        "ruleIndex": subject.rules.index(finding.id),
        "level": finding.severity,
        "message": {
            "text": f"{place(finding)}: {finding.measured}. {finding.why} Fix: {finding.fix}"
        },
        "locations": [location],
        "partialFingerprints": {"faninFinding/v1": fingerprint},
        "properties": {
            "measured": finding.measured,
            "expected": finding.expected,
            "limit": finding.limit,
            "value": finding.value,
            "fix": finding.fix,
        },
    }
