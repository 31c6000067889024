"""A checkup as JSON: all that was measured, for programs."""

from fanin.checks import Checkup
from fanin.commands.formats._subject import ReportSubject


def render(checkup: Checkup, subject: ReportSubject) -> str:
    """`Checkup.to_json`, whoever the subject is."""
    return checkup.to_json()
