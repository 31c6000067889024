"""A study of many claims: families of rows, numbered through, and the table of every figure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from fanin.studies._rows import ClaimFamily, ClaimRow, text
from fanin.studies._study import Findings, Scale, Study, StudyPart, Table

TOO_SHORT = "The quick form trains too little to tell."
_AGREES = {True: "yes", False: "no", None: "open"}


def make_study(
    families: Sequence[ClaimFamily],
    conditions: Sequence[str],
    *,
    name: str,
    title: str,
    question: str,
    source: str,
) -> Study:
    """The study of the families, in their order; the sizes of its parts join the conditions."""

    def parts(scale: Scale) -> list[StudyPart]:
        return [part for family in families for part in family.parts(scale == "quick")]

    def conclude(found: Mapping[str, Any], scale: Scale) -> Findings:
        rows = list(chain(*(family.rows(found) for family in families)))
        if scale == "quick":
            rows = [
                replace(row, holds=None, rule=TOO_SHORT) if row.trained else row for row in rows
            ]
        sizes = f"Sizes: {'; '.join(map(_sizes, parts(scale)))}."
        return Findings(
            claims=[row.claim(number) for number, row in enumerate(rows, 1)],
            tables=[_table(rows)] if any(row.checks for row in rows) else [],
            figures=list(chain(*(family.figures(found) for family in families))),
            conditions=[*conditions, sizes],
        )

    return Study(name, title, question, source, parts, conclude)


def _sizes(part: StudyPart) -> str:
    """`wide: width 1000, depth 60, networks 60`."""
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in part.settings.items())
    return f"{part.name}: {told or 'none'}"


def _table(rows: Sequence[ClaimRow]) -> Table:
    cells = [
        (
            f"{number}. {check.figure}",
            f"{check.published:g}",
            text(check.measured),
            f"{check.allowed:.2g}",
            _AGREES[check.agrees],
        )
        for number, row in enumerate(rows, 1)
        for check in row.checks
    ]
    return Table(
        "Every figure",
        ("figure", "claimed", "measured (95 % interval)", "allowed, +-", "agrees"),
        cells,
    )
