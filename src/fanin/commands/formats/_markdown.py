"""A checkup as GitHub's markdown, for a comment on a change."""

import re

from fanin._columns import list_names
from fanin.checks import Checkup
from fanin.checks._causes import Cause, find_causes
from fanin.commands.formats._subject import ReportSubject, place, title

LONGEST = 60_000  # characters; GitHub refuses comments of more than 65,536
# What markdown reads as its own; an underscore within a word is none of it.
_MARKUP = re.compile(r"[\\`*\[\]<>|~]|(?<!\w)_|_(?!\w)")


def render(checkup: Checkup, subject: ReportSubject) -> str:
    """Verdict, a table of the findings, their remedies; the layers folded, where they fit."""
    found = find_causes(checkup.findings)
    parts = [f"### fanin check {_code(subject.name)}", _text(checkup.verdict)]
    if found:
        parts += [_table(found), "\n".join(map(_remedy, found))]
    if checkup.notes:
        parts.append("\n".join(f"- {_text(note)}" for note in checkup.notes))
    text = "\n\n".join(parts)
    whole = f"{text}\n\n{_fold('Layers', checkup.table)}\n"
    if len(whole) <= LONGEST:
        return whole
    kept = text if len(text) <= LONGEST else text[:LONGEST].rpartition("\n")[0]
    return f"{kept}\n\nThe whole is too long for a comment; --format html has it.\n"


def _table(found: list[Cause]) -> str:
    lines = ["| | rule | where | measured | expected | limit |", f"|{' --- |' * 6}"]
    for cause in found:
        first = cause.first
        said = (first.measured, first.expected, first.limit)
        cells = (first.severity, _text(title(first)), _where(cause), *map(_text, said))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _where(cause: Cause) -> str:
    """The first layers, of which the numbers beside them speak for the first one."""
    return list_names(
        [_code(finding.layer) if finding.layer else place(finding) for finding in cause.same]
    )


def _remedy(cause: Cause) -> str:
    first = cause.first
    also = "".join(f" So also: {_text(item)}." for item in cause.consequences)
    return f"- **{first.id}** {_text(first.why)}{also} **Fix:** {_text(cause.fix)}"


def _fold(summary: str, text: str) -> str:
    fence = "`" * max(3, _longest_run(text) + 1)  # so that no name ends the block
    block = f"{fence}text\n{text.rstrip()}\n{fence}"
    return f"<details><summary>{summary}</summary>\n\n{block}\n\n</details>"


def _code(name: str) -> str:
    """A name as code, whatever is in it; a pipe would end a table's cell even there."""
    ticks = "`" * (_longest_run(name) + 1)
    space = " " if "`" in name else ""
    flat = " ".join(name.split()).replace("|", "\\|")
    return f"{ticks}{space}{flat}{space}{ticks}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _text(text: str) -> str:
    """Text as it is, in one line: nothing in it is taken for markdown or HTML."""
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
