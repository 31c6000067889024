"""What the article's own protocol says: its fans, its gradients, its plain network."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fanin.lab.statistics.statistics import Interval, mean_interval
from fanin.studies._cnn import BASE
from fanin.studies._cnn_once import CONVENTIONS, FIRST, SLIP
from fanin.studies._contrasts import Scores, claims, compare_fans, contrasts
from fanin.studies._rows import join_verdicts
from fanin.studies._sources import CAP
from fanin.studies._study import Claim, Table

EXPLODES = 10.0  # times the norm of a gradient: more is an explosion
GOOD = 0.9  # accuracy
LARGEST = float(np.finfo(np.float32).max)
WHERE = "Once through"
NAMES = {
    "torch": "torch's fans",
    "article": "the article's fans",
    "weight": "the article's fans, of the dense layer the size of its weight",
}


def scores_of(once: Mapping[str, Any], convention: str) -> Scores:
    """Accuracies by row under a convention; the base serves all."""
    chosen = {BASE: once[BASE]["accuracy"]}
    for name, values in once.items():
        under, _, row = name.partition(": ")
        if row and under == convention:
            chosen[row] = values["accuracy"]
    return chosen


def _rows_alone(scores: Scores) -> Scores:
    return {row: values for row, values in scores.items() if row != BASE}


def own_claims(once: Mapping[str, Any], plain: Mapping[str, Any]) -> list[Claim]:
    """All of them."""
    by_fans = {convention: scores_of(once, convention) for convention in CONVENTIONS}
    torch_rows, own_rows, weight_rows = (_rows_alone(by_fans[name]) for name in CONVENTIONS)
    made = [
        plain_reaches(once, plain),
        exploding(once),
        compare_fans(
            WHERE,
            "the article's - torch's",
            "the article's fans of a convolution, whole kernel and whole output map, give the best "
            "results",
            own_rows,
            torch_rows,
        ),
        compare_fans(
            WHERE,
            "input layer - weight",
            "fans of a dense layer by the size of the input layer are better than by the size of "
            "the weight itself",
            own_rows,
            weight_rows,
        ),
    ]
    for convention in ("torch", "article"):
        where = f"{WHERE}, {NAMES[convention]}"
        made += claims(where, contrasts(by_fans[convention]))
    return made


def plain_reaches(once: Mapping[str, Any], plain: Mapping[str, Any]) -> Claim:
    """A plain network and the CNN from the base."""
    net, cnn = (mean_interval(plain["more"][name]["accuracy"]) for name in ("plain", "CNN"))
    first = mean_interval(plain["once"]["plain"]["accuracy"])
    holds: bool | None = None
    if net.low > GOOD and cnn.high < GOOD:
        holds = True
    elif net.high < GOOD or cnn.low > GOOD:
        holds = False
    return Claim(
        f"With {BASE} everywhere a plain network reaches over 90 %, and the CNN does not",
        CAP,
        f"On more images {percent(net)} % and {percent(cnn)} %; once through {percent(first)} % "
        f"and {percent(mean_interval(once[BASE]['accuracy']))} %.",
        holds,
        "On more images: holds if one interval is above 90 % and the other below; refuted if the "
        "first is below or the second above.",
        {"plain": net.mean, "cnn": cnn.mean},
    )


def exploding(once: Mapping[str, Any]) -> Claim:
    """Gradients from the base beside those from every rule."""
    ratios = {
        row: _ratio(once[BASE]["first_norm"], values["first_norm"])
        for row, values in once.items()
        if row != BASE
    }
    least = min(ratios, key=lambda row: ratios[row].low)
    low, mean, high = (
        math.exp(value) for value in (ratios[least].low, ratios[least].mean, ratios[least].high)
    )
    lost = sum(value is None for value in once[BASE]["largest_norm"])
    return Claim(
        f"Gradients explode under {BASE}, and initializers cure it",
        CAP,
        f"The norm of the gradient, the mean over the first {FIRST} steps, is at least {mean:.0f} "
        f"times that of every rule ({low:.0f} to {high:.0f}, {least}). It stops being finite in "
        f"{lost} of {len(once[BASE]['largest_norm'])} runs.",
        join_verdicts([_explodes(ratio) for ratio in ratios.values()]),
        f"Holds if every interval is above {EXPLODES:g}, refuted if one is below.",
        {"least": mean, "not_finite": lost},
    )


def _ratio(first: Sequence[float | None], second: Sequence[float | None]) -> Interval:
    """The logarithm of a ratio over the seeds; a norm that is not finite counts as the largest."""
    return mean_interval(
        [
            math.log((over or LARGEST) / (under or LARGEST))
            for over, under in zip(first, second, strict=True)
        ]
    )


def _explodes(ratio: Interval) -> bool | None:
    edge = math.log(EXPLODES)
    return True if ratio.low > edge else False if ratio.high < edge else None


def percent(interval: Interval) -> str:
    """`89.2 (88.2 to 90.2)`."""
    return f"{100 * interval.mean:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def own_tables(once: Mapping[str, Any], plain: Mapping[str, Any]) -> list[Table]:
    """Accuracies by row and fans, gradients, and the plain network."""
    columns = [scores_of(once, convention) for convention in CONVENTIONS]
    rows = []
    for row in columns[0]:
        name = row if row == BASE else f"{CONVENTIONS[1]}: {row}"
        norms = [value for value in once[name]["first_norm"] if value is not None]
        norm = mean_interval(norms).mean if norms else math.inf
        rows.append(
            (row, *(percent(mean_interval(scores[row])) for scores in columns), f"{norm:.3g}")
        )
    slip = percent(mean_interval(once[SLIP]["accuracy"]))
    rows.append((SLIP, "-", slip, "-", "-"))
    networks = [
        (f"{name}, {how}", percent(mean_interval(values["accuracy"])))
        for how, found in (("once through", plain["once"]), ("more images", plain["more"]))
        for name, values in found.items()
    ]
    return [
        Table(
            "MNIST, the article's own protocol: test accuracy, % (95 % interval)",
            ("weights", *NAMES.values(), "gradient"),
            rows,
            f"Gradient: its norm, the mean over the first {FIRST} steps, by the article's fans. "
            "The slip is under its conditions.",
        ),
        Table(f"A plain network and the CNN from {BASE}", ("network", "accuracy, %"), networks),
    ]
