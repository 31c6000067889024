"""Saturation: a tiny network, one target, and how often each start gets there in 1000 runs."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fanin.studies._drawing import panels
from fanin.studies._study import Figure, Findings, Scale, Study, StudyPart
from fanin.studies.saturation._claims import compare_paired, large, one_run, small, trains
from fanin.studies.saturation._network import (
    EPOCHS,
    NORMAL,
    RANDOM,
    RATE,
    RULES,
    STARTS,
    TOLERANCE,
    XAVIER,
    XAVIER_ZERO,
    measure,
)
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
    claims = [small(found), large(found), *(trains(found, start) for start in RANDOM)]
    for pair in ((XAVIER, NORMAL), (XAVIER_ZERO, XAVIER)):
        claims += [compare_paired(found, *pair, rule) for rule in RULES]
    return Findings(
        [*claims, one_run(found)],
        [table(found, rule) for rule in RULES],
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
    "D. Djuric, Deep Learning from Scratch to GPU, part 13: Initializing Weights (2019).",
    _parts,
    _conclude,
)
