"""Trained networks of tanh: accuracy against depth and weight variance, and the depths 6 xi_c."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from torch import nn

import fanin
from fanin.gains import depth_theory
from fanin.lab.report.drawing import INK
from fanin.studies._drawing import panels
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, Figure, StudyPart
from fanin.studies.classics._meanfield import BIAS, WEIGHT
from fanin.studies.classics._training import (
    FIRST_SEED,
    Initialize,
    NetworkTrial,
    setup,
    train_networks,
)

CRITICAL = round(WEIGHT, 2)
VARIANCES = (1.0, 1.3, 1.5, CRITICAL, 2.0, 2.5, 3.0, 4.0)
RATES = (0.003, 0.01)
DEPTHS = (5, 10, 15, 20, 30, 40, 60, 80, 100)
DEEP = 40  # from here on the variance must be right
MULTIPLE, FACTOR = 6.0, 2.0  # the edge is at 6 xi_c; allowed: half of it to twice it


def measure(advance: Advance, depths: Sequence[int], steps: int, seed: int) -> dict[str, Any]:
    """By depth, the test accuracy at the better rate for each weight variance."""
    found: dict[str, Any] = {}
    for depth in depths:
        shared = setup("tanh", depth, steps, 32, "sgd", "cross_entropy")
        cases = [(variance, rate) for rate in RATES for variance in VARIANCES]
        jobs = [NetworkTrial(_start(variance), seed, rate) for variance, rate in cases]
        trials = train_networks(shared, jobs, advance)
        found[str(depth)] = [
            max(t.score for t, case in zip(trials, cases, strict=True) if case[0] == variance)
            for variance in VARIANCES
        ]
    return found


def _start(variance: float) -> Initialize:
    weight = f"variance_scaling({variance}, 'fan_in', 'normal')"
    biases = {"*.bias": f"normal(0.0, {math.sqrt(BIAS)!r})"}

    def start(model: nn.Module, seed: int) -> object:
        return fanin.initialize(model, seed, initializer=weight, overrides=biases)

    return start


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes: dict[str, Any] = {"depths": [5, 10] if quick else list(DEPTHS), "seed": FIRST_SEED}
    sizes["steps"] = 10 if quick else 300
    runs = len(sizes["depths"]) * len(VARIANCES) * len(RATES)
    return [part("map", measure, runs * sizes["steps"], **sizes)]


@cache
def scales() -> dict[float, float]:
    """The depth scale xi_c of every weight variance; at 1.76 it is long, not infinite."""
    return {variance: depth_theory("tanh", variance, BIAS).xi_c for variance in VARIANCES}


def edge(depths: Sequence[int], accuracies: Sequence[float], half: float) -> float | None:
    """The depth where the accuracy falls below `half`, or None."""
    for before, after in zip(range(len(depths)), range(1, len(depths)), strict=False):
        high, low = accuracies[before], accuracies[after]
        if high >= half > low:
            part_way = (high - half) / (high - low)
            return float(depths[before] * (depths[after] / depths[before]) ** part_way)
    return None


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    measured = found["map"]
    depths = [int(depth) for depth in measured]
    table = np.array(list(measured.values()))
    deep = [index for index, depth in enumerate(depths) if depth >= min(DEEP, depths[-1])]
    how = (
        f"MLP of width 128, SGD, the better of the rates {RATES[0]:g} and {RATES[1]:g}"
        f", seed {FIRST_SEED}, "
        f"depths {depths[0]} to {depths[-1]}."
    )
    means = table[deep].mean(axis=0)
    best = VARIANCES[int(means.argmax())]
    told = ", ".join(f"{v:g}: {100 * m:.0f} %" for v, m in zip(VARIANCES, means, strict=True))
    return [
        ClaimRow(
            f"Deep networks of tanh learn best at the critical weight variance, {CRITICAL}",
            "Schoenholz et al. 2017, fig. 5, on MNIST",
            how,
            trained=True,
            measured=f"Mean accuracy at depths of {depths[deep[0]]} and more: {told}.",
            holds=best == CRITICAL,
            rule="Holds where no other variance of the grid has a higher mean.",
        ),
        _edges(depths, table, how),
    ]


def _edges(depths: Sequence[int], table: np.ndarray[Any, Any], how: str) -> ClaimRow:
    """Whether the edge follows 6 xi_c, at the variances whose 6 xi_c was reached."""
    half = float(table.max()) / 2
    told, agree = [], []
    for index, (variance, scale) in enumerate(scales().items()):
        if MULTIPLE * scale > depths[-1]:
            continue
        found = edge(depths, table[:, index].tolist(), half)
        ratio = math.inf if found is None else found / scale
        agree.append(1 / FACTOR <= ratio / MULTIPLE <= FACTOR)
        at = "none" if found is None else f"{found:.0f}"
        told.append(f"{variance:g}: {at} ({MULTIPLE * scale:.0f})")
    return ClaimRow(
        "They learn down to a depth of about 6 xi_c",
        "Schoenholz et al. 2017, section 5",
        how,
        trained=True,
        measured=f"Depth where the accuracy falls below {100 * half:.0f} %, by weight variance (in "
        f"brackets 6 xi_c): {', '.join(told)}.",
        holds=all(agree),
        rule=f"Holds where every edge is within a factor of {FACTOR:g} of 6 xi_c.",
    )


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """The map with the curve 6 xi_c."""
    measured = found["map"]
    table = 100 * np.array(list(measured.values()))
    depths = [int(depth) for depth in measured]

    def draw(axes: Sequence[Axes]) -> None:
        (panel,) = axes
        mesh = panel.pcolormesh(
            range(len(VARIANCES)), range(len(depths)), table, cmap="viridis", vmin=10, vmax=90
        )
        places = [_place(depths, MULTIPLE * scale) for scale in scales().values()]
        panel.plot(range(len(VARIANCES)), places, color="white", lw=2.5)
        panel.plot(range(len(VARIANCES)), places, color=INK, lw=1.2, ls="--")
        panel.set_xticks(range(len(VARIANCES)), [f"{v:g}" for v in VARIANCES])
        panel.set_yticks(range(len(depths)), [str(depth) for depth in depths])
        panel.set(xlabel="weight variance times fan_in", ylabel="depth")
        panel.set_ylim(-0.5, len(depths) - 0.5)
        panel.figure.colorbar(mesh, ax=panel, label="test accuracy, %")

    return [
        Figure(
            "map",
            "Accuracy against depth and weight variance of tanh networks",
            lambda: panels("Accuracy by depth and weight variance", 1, draw, (5.4, 3.6)),
            "Each cell is a network of width 128 after the same number of steps; the dashed line "
            f"is 6 xi_c. At {CRITICAL} it lies beyond the picture.",
        )
    ]


def _place(depths: Sequence[int], depth: float) -> float:
    """A depth's place on the axis of the map, whose rows are not evenly deep."""
    if not depth < 2 * depths[-1]:
        return len(depths)
    logs = np.log([*depths, 2 * depths[-1]])
    return float(np.interp(math.log(depth), logs, np.arange(len(depths) + 1)))


MAP = ClaimFamily(parts, rows, figures)
