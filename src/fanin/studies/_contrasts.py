"""Planned contrasts of the article's CNN: differences of accuracy, and what they say of claims.

What confirms and what refutes a claim is in `_better` and `_far`.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fanin.lab.statistics.statistics import Difference
from fanin.studies._cnn import ADVICE, BASE, EXCHANGED, RULES, SHAPES
from fanin.studies._paired import difference, holm
from fanin.studies._rows import join_verdicts
from fanin.studies._sources import CAP
from fanin.studies._study import Claim

BEST, OTHERS = "LeCun, normal", ("LeCun", "He")
MARGIN, FAR = 0.01, 0.05  # of accuracy: less is no better; what "far" means

Scores = Mapping[str, Sequence[float]]  # by row, one for every seed


def contrasts(scores: Scores) -> dict[str, Difference]:
    """The planned contrasts by name, their p-values corrected by Holm for all of them."""

    def rule(name: str) -> list[float]:
        return _mean(scores, [f"{name}, {shaped}" for shaped in SHAPES])

    sides = {
        "normal - uniform": tuple(
            _mean(scores, [f"{r}, {shaped}" for r in RULES]) for shaped in SHAPES
        ),
        "exchanged - advised": (list(scores[EXCHANGED]), list(scores[ADVICE])),
    }
    for name in OTHERS:
        sides[f"{name} - Glorot"] = (rule(name), rule("Glorot"))
    for row in scores:
        if row not in (BASE, BEST):
            sides[f"{BEST} - {row}"] = (list(scores[BEST]), list(scores[row]))
    for row in scores:
        if row != BASE:
            sides[f"{row} - {BASE}"] = (list(scores[row]), list(scores[BASE]))
    raw = [
        difference((name, first), (name, second), len(sides))
        for name, (first, second) in sides.items()
    ]
    return dict(zip(sides, holm(raw), strict=True))


def _mean(scores: Scores, rows: Iterable[str]) -> list[float]:
    """The mean of some rows, for every seed."""
    return [float(np.mean(seeds)) for seeds in zip(*(scores[row] for row in rows), strict=True)]


def is_better(contrast: Difference) -> bool | None:
    """Better: found, above 0. Not better: found, below 0, or surely less than a point above."""
    if contrast.found:
        return contrast.interval.mean > 0
    return False if contrast.interval.high < MARGIN else None


def _far(contrast: Difference) -> bool | None:
    """Far better: found, and surely by five points. Not: surely by less."""
    if contrast.found and contrast.interval.low > FAR:
        return True
    return False if contrast.interval.high < FAR else None


POINT = f"{100 * MARGIN:g} point"
BETTER = (
    "Holds where the test finds it; refuted where it finds the opposite, or the interval ends "
    f"below {POINT}."
)
CLAIMS = {
    "normal is better than uniform": "normal - uniform",
    "Glorot behind a ReLU and He elsewhere are better than the reverse, which is advised": (
        "exchanged - advised"
    ),
}


def _say(contrast: Difference) -> str:
    """`LeCun - He: +0.31 points (-0.20 to 0.80), p 0.41`."""
    mean, low, high = (
        f"{100 * value:+.2f}"
        for value in (contrast.interval.mean, contrast.interval.low, contrast.interval.high)
    )
    return f"{contrast.first}: {mean} points ({low} to {high}), p {contrast.p_adjusted:.2g}"


def claims(where: str, found: Mapping[str, Difference]) -> list[Claim]:
    made = [
        Claim(
            f"{where}: {statement}",
            CAP,
            f"{_say(found[name])}.",
            is_better(found[name]),
            BETTER,
            {found[name].first: found[name].interval.mean},
        )
        for statement, name in CLAIMS.items()
    ]
    made += [_best(where, found), _not_best(where, found)]
    against = [contrast for name, contrast in found.items() if name.endswith(BASE)]
    lowest = min(against, key=lambda contrast: contrast.interval.low)
    made.append(
        Claim(
            f"{where}: all are much better than {BASE}",
            CAP,
            f"The least of {len(against)}: {_say(lowest)}.",
            join_verdicts([_far(contrast) for contrast in against]),
            f"Holds where every row is found better, its interval beyond {100 * FAR:g} points; "
            "refuted where one's interval ends below that.",
            {contrast.first: contrast.interval.mean for contrast in against},
        )
    )
    return made


def _best(where: str, found: Mapping[str, Difference]) -> Claim:
    others = [contrast for name, contrast in found.items() if name.startswith(f"{BEST} - ")]
    others = [contrast for contrast in others if not contrast.first.endswith(BASE)]
    lowest = min(others, key=lambda contrast: contrast.interval.mean)
    return Claim(
        f"{where}: {BEST}, is best",
        CAP,
        f"The least of {len(others)}: {_say(lowest)}.",
        join_verdicts([is_better(contrast) for contrast in others]),
        "Holds where it is found better than every other; refuted where one is found better than "
        f"it, or an interval ends below {POINT}.",
        {contrast.first: contrast.interval.mean for contrast in others},
    )


def _not_best(where: str, found: Mapping[str, Difference]) -> Claim:
    rivals = [found[f"{name} - Glorot"] for name in OTHERS]
    verdicts = [is_better(contrast) for contrast in rivals]
    return Claim(
        f"{where}: Glorot is not best",
        CAP,
        f"{'; '.join(map(_say, rivals))}.",
        True if True in verdicts else None if None in verdicts else False,
        f"Holds where one of them is found better; refuted where neither is better by {POINT}.",
        {contrast.first: contrast.interval.mean for contrast in rivals},
    )


def compare_fans(where: str, name: str, statement: str, first: Scores, second: Scores) -> Claim:
    """Whether the means over all rows are better under one convention than under another."""
    contrast = difference((name, _mean(first, first)), (name, _mean(second, first)), 1)
    return Claim(
        f"{where}: {statement}",
        CAP,
        f"{_say(contrast)}, over the means of {len(first)} rows.",
        is_better(contrast),
        BETTER,
        {name: contrast.interval.mean},
    )
