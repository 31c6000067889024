"""Subject: what a checkup is of, as a report names it."""

from dataclasses import dataclass

from fanin.checks import RULES, Finding, Severity


@dataclass(frozen=True)
class ReportSubject:
    """`rules` are the ids that were judged; findings of `level` and above fail the run.

    `file` is where the factory is written, relative to the working folder with forward slashes,
    and "" where that is elsewhere; `line` counts from 1.
    """

    name: str  # "package.module:factory"
    rules: tuple[str, ...]
    level: Severity = "error"
    file: str = ""
    line: int = 1


def place(finding: Finding) -> str:
    """Where a finding is, for people: a layer's path, or "the model"."""
    return finding.place


def title(finding: Finding) -> str:
    """A finding's id and the name of its rule: "F02 forward scale"."""
    return f"{finding.id} {RULES[finding.id].name}"
