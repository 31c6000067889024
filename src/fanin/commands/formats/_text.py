"""A checkup as text: what `print` shows, under the factory's name."""

from fanin.checks import Checkup
from fanin.commands.formats._subject import Subject


def render(checkup: Checkup, subject: Subject) -> str:
    """The printed checkup."""
    return f"{subject.name}\n{str(checkup).rstrip()}\n"
