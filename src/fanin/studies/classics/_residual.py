"""How a residual stream without normalization grows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin import initializers
from fanin.streams import Array
from fanin.studies._rows import ClaimFamily, ClaimRow, near, part, within
from fanin.studies._study import StudyPart
from fanin.studies.classics._chain import forward, normal, square

HE_BLOCKS = 20
BRANCHES = 24  # two for each of GPT-2's twelve layers


def grow(rules: tuple[str, str], width: int, blocks: int, normalized: bool, seed: int) -> float:
    """Mean square of x after `blocks` blocks x + W2 relu(W1 relu(x)), over that of the input.

    The rules are those of W1 and W2; `normalized` scales a branch's input to mean square 1.
    """
    x: Array = normal((16, width), 1.0, seed)
    start = square(x)
    for block in range(blocks):
        inner, outer = (
            initializers.get(rule)((width, width), seed=seed, name=f"blocks.{block}.{k}.weight")
            for k, rule in enumerate(rules)
        )
        fed = x / np.sqrt(square(x)) if normalized else x
        x = x + forward([inner], np.maximum(fed, 0), "relu").after[-1] @ outer.T
    return square(x) / start


def measure(width: int, networks: int) -> dict[str, list[float]]:
    """By rule, for networks of seeds 0, 1, ..."""
    he, small = "he_normal", f"variance_scaling({2 / BRANCHES!r}, 'fan_in', 'normal')"
    cases = {
        "he": ((he, he), HE_BLOCKS, False),
        "fixup": (
            (f"variance_scaling({2 / HE_BLOCKS!r}, 'fan_in', 'normal')", "zeros"),
            HE_BLOCKS,
            False,
        ),
        "plain": ((he, he), BRANCHES, True),
        "scaled": ((he, small), BRANCHES, True),
    }
    return {
        name: [grow(rules, width, blocks, normalized, seed) for seed in range(networks)]
        for name, (rules, blocks, normalized) in cases.items()
    }


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    return [part("residual", measure, width=256, networks=8 if quick else 60)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    measured = found["residual"]
    how = f"{len(measured['he'])} networks of width 256."
    return [
        ClaimRow(
            "Without normalization He's variance doubles a residual stream's in every block; Fixup "
            "keeps it",
            "Zhang et al. 2019, section 2",
            f"{how} {HE_BLOCKS} blocks x + W2 relu(W1 relu(x)).",
            [
                near("factor a block, He", 2.0, [v ** (1 / HE_BLOCKS) for v in measured["he"]]),
                within(f"factor of {HE_BLOCKS} blocks, Fixup", 1.0, measured["fixup"], 1e-6),
            ],
        ),
        ClaimRow(
            "With branches of variance 1 and the last weights times 1/sqrt N, the stream's "
            "variance after N branches is 2 and not N + 1",
            "Radford et al. 2019, section 2.3",
            f"{how} N = {BRANCHES}, branches fed with variance 1.",
            [
                near("scaled by 1/sqrt N", 2.0, measured["scaled"]),
                near("not scaled", BRANCHES + 1.0, measured["plain"]),
            ],
        ),
    ]


RESIDUAL = ClaimFamily(parts, rows)
