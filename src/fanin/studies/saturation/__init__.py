"""Saturation: a tiny network, one target, and how often each start gets there in 1000 runs."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fanin.studies._drawing import panels
from fanin.studies._sources import ARTICLES, DJURIC
from fanin.studies._study import Figure, Findings, Scale, Study, StudyPart
from fanin.studies.saturation._claims import (
    fails_often,
    helps_little,
    large,
    may_fail,
    normal_better,
    one_run,
    saturates_mostly,
    small,
    xavier_best,
    zero_better,
)
from fanin.studies.saturation._network import (
    EPOCHS,
    RATE,
    RULES,
    STARTS,
    SUBTRACTED,
    TOLERANCE,
    measure,
)
from fanin.studies.saturation._readings import reading, table_fixed, table_printed
from fanin.studies.saturation._tables import conditions, draw, table

RUNS: Mapping[Scale, int] = {"quick": 40, "full": 1000}


def _parts(scale: Scale) -> list[StudyPart]:
    return [
        StudyPart(
            start.name,
            {"runs": runs, "epochs": EPOCHS, "rate": RATE, "start": repr(start)},
            partial(measure, start, runs),
        )
        for start in STARTS
        for runs in [1 if start.fixed else RUNS[scale]]
    ]


def _conclude(found: Mapping[str, Any], scale: Scale) -> Findings:
    claims = [reading(found)]
    for claim in (
        small,
        large,
        helps_little,
        saturates_mostly,
        normal_better,
        fails_often,
        xavier_best,
        may_fail,
        zero_better,
    ):
        claims += [claim(found, rule) for rule in SUBTRACTED]
    return Findings(
        [*claims, one_run(found)],
        [table_fixed(found), table_printed(found), *(table(found, rule) for rule in RULES)],
        [
            Figure(
                "error",
                "Distance of the output from the target after training, over the runs",
                partial(panels, "Distance", len(RULES), partial(draw, found), (4.2, 2.8)),
                f"Share of runs at or below a distance; the dotted line is {TOLERANCE:g}.",
            )
        ],
        conditions(found),
    )


STUDY = Study(
    "saturation",
    "Saturation: one run or a thousand",
    "Which starts bring a network of two inputs, four tanh units and a sigmoid to its target, and "
    "how far can one run of each be trusted?",
    f"{ARTICLES[DJURIC]}.",
    _parts,
    _conclude,
)
