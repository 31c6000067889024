"""A checkup in the formats that people and CI systems read: one module each.

Each has `render(checkup, subject)`, which gives the whole text of a file. A format is loaded when
it is asked for: only html needs libraries of the lab.
"""

from collections.abc import Callable
from importlib import import_module

from fanin.checks import Checkup
from fanin.commands.formats._subject import ReportSubject as ReportSubject

FORMATS = ("text", "json", "sarif", "junit", "github", "markdown", "html")


def renderer(form: str) -> Callable[[Checkup, ReportSubject], str]:
    """The `render` of one of FORMATS; its text ends with a line break."""
    render: Callable[[Checkup, ReportSubject], str]
    render = import_module(f"fanin.commands.formats._{form}").render
    return render
