"""Random numbers: what draws cost, and two ways from uniform words to normal values."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from fanin.studies._sources import ARTICLES, DJURIC
from fanin.studies._study import Findings, Scale, Study, StudyPart
from fanin.studies.rng import _network
from fanin.studies.rng._claims import (
    cheaper,
    ends,
    exact,
    loop,
    normal_law,
    shares,
    stateless,
    training,
    twice,
)
from fanin.studies.rng._interleaved import interleave
from fanin.studies.rng._measure import half_thrown, matrix, redraw, transform_times, transforms
from fanin.studies.rng._setup import ARRAYS, LOOP, SEED, SIDE, SIZES, WIDTHS
from fanin.studies.rng._tables import (
    conditions,
    half_table,
    matrix_table,
    time_tables,
    transform_table,
)


def _parts(scale: Scale) -> list[StudyPart]:
    size = SIZES[scale]
    widths = list(size.widths)
    cuda = torch.cuda.is_available()
    inputs, epochs = (WIDTHS[0], 10) if cuda else (size.cpu_inputs, 1)
    device = "cuda" if cuda else "cpu"
    rounds = {"rounds": size.rounds}
    return [
        StudyPart("transforms", {"words": size.words}, partial(transforms, size.words)),
        StudyPart(
            "matrix", rounds, partial(matrix, size.rounds), steps=2 * size.rounds + 2, timed=True
        ),
        StudyPart(
            "half thrown",
            rounds,
            partial(half_thrown, size.rounds),
            steps=2 * size.rounds + 2,
            timed=True,
        ),
        StudyPart("keyed", {"seed": SEED, "side": SIDE}, redraw),
        StudyPart(
            "transform times",
            rounds | {"words": size.words // 8},
            partial(transform_times, size.rounds, size.words // 8),
            steps=size.rounds + 1,
            timed=True,
        ),
        StudyPart(
            "network",
            rounds | {"widths": widths},
            lambda advance: interleave(_network.contenders(widths), size.rounds, advance),
            steps=size.rounds + 1,
            timed=True,
        ),
        StudyPart(
            "training",
            {"widths": widths, "inputs": inputs, "epochs": epochs, "device": device},
            lambda advance: _network.train(widths, inputs, epochs, device),
            timed=True,
        ),
    ]


def _conclude(found: Mapping[str, Any], scale: Scale) -> Findings:
    size = SIZES[scale]
    return Findings(
        [
            *(normal_law(found, name, size) for name in ("Box-Muller", "inversion")),
            ends(found),
            exact(found),
            stateless(found),
            *(twice(found, who) for who in (LOOP, ARRAYS)),
            loop(found, size),
            cheaper(found),
            training(found),
            shares(found, size),
        ],
        [
            transform_table(found, size),
            matrix_table(found),
            half_table(found),
            *time_tables(found, size),
        ],
        conditions=conditions(size),
    )


STUDY = Study(
    "rng",
    "Random numbers: what draws cost",
    "How long does it take to draw a matrix and a large network, and is Box-Muller or inversion "
    "the better way to normal values?",
    f"{ARTICLES[DJURIC]}.",
    _parts,
    _conclude,
)
