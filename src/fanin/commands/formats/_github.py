"""A checkup as GitHub's workflow commands: each finding is an annotation of the factory's line."""

from fanin.checks import Checkup, Finding
from fanin.commands.formats._subject import ReportSubject, place, title

_COMMANDS = {"note": "notice", "warning": "warning", "error": "error"}


def render(checkup: Checkup, subject: ReportSubject) -> str:
    """One command a finding, then the verdict as a plain line of the log."""
    lines = [_command(finding, subject) for finding in checkup.findings]
    # In one line that does not start with "::", so that no layer's name is taken for a command.
    return "\n".join([*lines, f"fanin check: {' '.join(checkup.verdict.split())}"]) + "\n"


def _command(finding: Finding, subject: ReportSubject) -> str:
    properties = {"title": f"{title(finding)}, {place(finding)}"}
    if subject.file:
        properties = {"file": subject.file, "line": str(subject.line), **properties}
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    message = f"{finding.measured}. {finding.why}\nFix: {finding.fix}"
    return f"::{_COMMANDS[finding.severity]} {given}::{_data(message)}"


def _data(text: str) -> str:
    """GitHub reads % as an escape, and ends a command at a line break."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """In a property, a colon and a comma would end it, too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
