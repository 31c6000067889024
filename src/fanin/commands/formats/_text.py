"""A checkup as text: what `print` shows, under the factory's name."""

from fanin.checks import Checkup
from fanin.commands.formats._subject import ReportSubject


def render(checkup: Checkup, subject: ReportSubject) -> str:
    """The printed checkup."""
    text = f"{subject.name}\n{str(checkup).rstrip()}\n"
    # Names are the user's: what would steer a terminal is shown, and does nothing.
    return "".join(
        letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text
    )
