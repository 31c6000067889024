"""Symmetry: networks whose units begin alike, and biases that begin at zero."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fanin.studies._drawing import panels
from fanin.studies._sources import ARTICLES, DJURIC, DOSHI
from fanin.studies._study import Figure, Findings, Scale, Study, StudyPart
from fanin.studies.symmetry import _biases
from fanin.studies.symmetry._claims import (
    alike,
    any_noise,
    full_rank,
    harmless,
    no_better,
    nothing_learns,
    one_unit,
    rank_one,
)
from fanin.studies.symmetry._measure import equal_units, linear, noisy
from fanin.studies.symmetry._setup import (
    ACTIVATIONS,
    NOISES,
    OTHERS,
    RATE,
    SEED,
    SIZES,
    STARTS,
    ZERO,
)
from fanin.studies.symmetry._tables import conditions, draw, equal_table, noise_table


def _parts(scale: Scale) -> list[StudyPart]:
    size = SIZES[scale]
    shared = {"images": size.images, "width": size.width, "rate": RATE}
    made: list[StudyPart] = []

    def add(
        name: str, steps: int, settings: dict[str, Any], measure: Callable[..., Any], *more: Any
    ) -> None:
        work = partial(measure, size, *more)
        made.append(StudyPart(name, shared | {"steps": steps} | settings, work, steps))

    for activation in ACTIVATIONS:
        for start, value in STARTS.items():
            settings = {"value": value}
            add(f"{start} {activation}", size.steps, settings, equal_units, activation, value)
    for noise in (*NOISES, None):
        name = f"noise {noise}" if noise else "random"
        add(name, size.noise_steps, {"noise": noise, "seed": SEED}, noisy, noise)
    add("linear", size.steps, {}, linear)
    for kind in (ZERO, *OTHERS):
        made.append(_biases.part(f"biases {kind}", kind, size.sample))
    return made


def _conclude(found: Mapping[str, Any], scale: Scale) -> Findings:
    size = SIZES[scale]
    return Findings(
        [
            no_better(found),
            alike(found),
            nothing_learns(found),
            rank_one(found),
            one_unit(found),
            full_rank(found, size),
            any_noise(found),
            *(harmless(found, other) for other in OTHERS),
        ],
        [equal_table(found), noise_table(found)],
        [
            Figure(
                "spread",
                "How fast noise pulls equal units apart",
                partial(panels, "Spread of the units", 1, partial(draw, found, size), (5, 2.8)),
                "The largest distance of a unit's incoming weights from the first unit's, tanh.",
            )
        ],
        conditions(size),
    )


STUDY = Study(
    "symmetry",
    "Symmetry: units that begin alike",
    "What does a network learn whose weights begin at zero, or at one value? And do biases of zero "
    "hurt?",
    "Goodfellow, Bengio and Courville, Deep Learning (2016), section 8.4; "
    f"{ARTICLES[DJURIC]}; {ARTICLES[DOSHI]}.",
    _parts,
    _conclude,
)
