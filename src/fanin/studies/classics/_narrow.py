"""What goes wrong in narrow ReLU networks, with the right variance too."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fanin.lab.report.drawing import FAINT, INK
from fanin.lab.statistics.statistics import Interval
from fanin.streams import Array
from fanin.studies._drawing import PALETTE, panels
from fanin.studies._rows import Check, ClaimFamily, ClaimRow, near, part
from fanin.studies._share import RunShare
from fanin.studies._study import Figure, StudyPart
from fanin.studies.classics._chain import draw, forward, normal

AT_ONCE = 500  # networks in one draw
LENGTHS = {"50 wide, 5 deep": (50, 5), "30 wide, 3 deep": (30, 3)}
BETA = 0.1  # of both
# Width, depth: published share of dead networks.
DEAD = {(2, 10): 0.944, (4, 10): 0.475, (8, 20): 0.075}
BOTH_SIGNS = 0.914
SHARE = 0.01  # allowed
EDGES = np.linspace(-3, 2, 81)  # of the histogram


def lengths(width: int, depth: int, networks: int) -> dict[str, Any]:
    """M, the mean square of the last activations over that of the input.

    Means of M and M^2 and the median of every 500 networks; a histogram of ln M over all.
    """
    counts = np.zeros(len(EDGES) - 1, np.int64)
    found: dict[str, list[float]] = {"mean": [], "square": [], "median": []}
    for seed in range(networks // AT_ONCE):
        inputs = normal((AT_ONCE, 1, width), 1.0, seed)
        weights = draw("he_normal", width, depth, seed, AT_ONCE)
        out = forward(weights, inputs, "relu").after[-1]
        length = np.square(out).sum(axis=(1, 2)) / np.square(inputs).sum(axis=(1, 2))
        found["mean"].append(float(length.mean()))
        found["square"].append(float(np.square(length).mean()))
        found["median"].append(float(np.median(length)))
        counts += np.histogram(np.log(length), EDGES)[0]
    return {**found, "histogram": counts.tolist(), "networks": networks}


def dead(width: int, depth: int, networks: int, both_signs: bool = False) -> int:
    """How many networks without biases give 0 for an input.

    With `both_signs` the inputs are one number and its negative, which the first layer widens.
    """
    weights = draw("he_normal", width, depth, 0, networks)
    signals = normal((networks, 1, width), 1.0, 0)
    if both_signs:
        signals = np.maximum(np.concatenate([signals, -signals], axis=1), 0)
        weights = weights[1:]
    out: Array = forward(weights, signals, "relu").after[-1]
    return int((~out.any(axis=(1, 2))).sum())


def measure_lengths(networks: int) -> dict[str, Any]:
    """For both shapes."""
    return {name: lengths(*shape, networks) for name, shape in LENGTHS.items()}


def measure_dead(networks: int) -> dict[str, int]:
    """The number for every shape."""
    counts = {f"{n} wide, {depth} deep": dead(n, depth, networks) for n, depth in DEAD}
    return counts | {"both signs": dead(2, 10, networks, both_signs=True), "networks": networks}


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    return [
        part("lengths", measure_lengths, networks=5_000 if quick else 200_000),
        part("dead", measure_dead, networks=20_000 if quick else 100_000),
    ]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    checks = []
    for name, (width, depth) in LENGTHS.items():
        lengths = found["lengths"][name]
        spread = [value / float(np.mean(lengths["mean"])) ** 2 for value in lengths["square"]]
        checks += [
            near(f"E M^2 / (E M)^2, {name}", (1 + 5 / width) ** depth, spread),
            near(f"median of M, {name}", math.exp(-2.5 * BETA), lengths["median"]),
        ]
    networks = next(iter(found["lengths"].values()))["networks"]
    counts = found["dead"]
    return [
        ClaimRow(
            "With He's variance the length M of a signal still varies from network to network, "
            "by beta = sum of 1/width: E M^2 / (E M)^2 is prod(1 + 5/n), the median about "
            "exp(-2.5 beta)",
            "Hanin & Rolnick 2018; the formula for Gaussian weights",
            f"{networks} networks of each shape, beta = {BETA}.",
            checks,
        ),
        ClaimRow(
            "A deep narrow ReLU network is born dead with probability 1 - (1 - 2^-N)^L",
            "Lu et al. 2019",
            f"{counts['networks']} networks of each shape, no biases.",
            [
                *(
                    _share(f"{n} wide, {depth} deep", published, counts)
                    for (n, depth), published in DEAD.items()
                ),
                _share("both signs", BOTH_SIGNS, counts),
            ],
        ),
    ]


def _share(name: str, published: float, counts: Mapping[str, int]) -> Check:
    share = RunShare(counts[name], counts["networks"])
    return Check(name, published, Interval(share.value, *share.interval), SHARE)


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """The law of the length, for both shapes."""
    step = float(EDGES[1] - EDGES[0])

    def draw_all(axes: Sequence[Axes]) -> None:
        (panel,) = axes
        for colour, (name, measured) in zip(PALETTE, found["lengths"].items(), strict=False):
            heights = np.array(measured["histogram"]) / measured["networks"] / step
            panel.stairs(heights, EDGES, color=colour, label=name)
        x = np.linspace(-3, 2, 200)
        density = np.exp(-((x + 2.5 * BETA) ** 2) / (10 * BETA)) / math.sqrt(10 * math.pi * BETA)
        panel.plot(
            x, density, color=INK, lw=1, ls="--", label="normal, mean -2.5 beta, variance 5 beta"
        )
        panel.axvline(0, color=FAINT, lw=0.8)
        panel.set(xlabel="ln M", ylabel="density", ylim=(0, 0.9))
        panel.legend(fontsize=8, frameon=False)

    return [
        Figure(
            "lengths",
            "The length of a signal behind five and three layers of ReLU",
            lambda: panels("Histogram of ln M", 1, draw_all, (5.2, 3.2)),
            "M is the mean square of the last activations over that of the input; its mean is 1 "
            "(ln M = 0, the upright line) in both, and most networks are below it.",
        )
    ]


NARROW = ClaimFamily(parts, rows, figures)
