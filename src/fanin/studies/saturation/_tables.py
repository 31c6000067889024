"""The runs as tables and as a figure; the conditions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fanin.lab.report.drawing import INK
from fanin.studies._drawing import PALETTE, legend_beside, plain_ticks
from fanin.studies._study import Table
from fanin.studies.saturation._network import (
    EPOCHS,
    INPUT,
    NORMAL,
    QUANTILES,
    RANDOM,
    RATE,
    RULES,
    SATURATED,
    STARTS,
    TARGET,
    TOLERANCE,
    disagree,
    share_of,
)
from fanin.studies.saturation._readings import LARGE_PRINTS

FLOOR = 1e-8  # of distances in the figure: below float32's rounding


def table(found: Mapping[str, Any], rule: str) -> Table:
    """All starts under one rule."""
    rows = []
    for start in STARTS:
        runs, share = found[start.name][rule], share_of(found, start, rule)
        rows.append(
            (
                start.name,
                f"{100 * runs['saturated_hidden']:.1f} %",
                f"{100 * runs['saturated_output']:.1f} %",
                f"{100 * runs['ends_saturated']:.1f} %",
                f"{runs['errors'][QUANTILES // 2]:.2g}",
                f"{share.hits} of {share.runs}",
                f"{100 * disagree(share):.1f} %",
            )
        )
    return Table(
        f"Runs that end within {TOLERANCE} of the target, {RULES[rule].told}",
        (
            "start",
            "hidden saturated",
            "output saturated",
            "at the end",
            "median distance",
            "runs",
            "disagree",
        ),
        rows,
        f"Saturated, at the start and the output's at the end: |tanh| above {SATURATED}, a sigmoid "
        f"within {1 - SATURATED:.2f} of 0 or 1. Disagree: the chance that two runs do not "
        "end alike.",
    )


def draw(found: Mapping[str, Any], axes: Sequence[Axes]) -> None:
    """Cumulative shares of the distances, a panel for each rule."""
    for panel, rule in zip(axes, RULES, strict=True):
        for start, colour in zip(RANDOM, PALETTE, strict=False):
            errors = np.maximum(found[start.name][rule]["errors"], FLOOR)
            shares = np.linspace(0, 100, QUANTILES)
            panel.plot(errors, shares, color=colour, lw=1.6, label=start.name)
        panel.axvline(TOLERANCE, color=INK, lw=0.8, ls=":")
        panel.set_xscale("log")
        plain_ticks(panel.xaxis)
        panel.set_title(RULES[rule].told, fontsize=10)
        panel.set(xlabel="|output - target|", xlim=(FLOOR, 1), ylim=(0, 101))
    axes[0].set_ylabel("% of runs")
    legend_beside(axes[-1])


def conditions(found: Mapping[str, Any]) -> list[str]:
    """Everything that the figures depend on."""
    return [
        f"Network 2-4-1, tanh then sigmoid, as in the article; input {INPUT}, target {TARGET}, "
        f"cost (output - target)² / 2, {EPOCHS} epochs of SGD at {RATE}, float32. The article "
        "trains on two copies of that input, whose mean gradient is the same.",
        f"Seeds 0 to {share_of(found, NORMAL, 'descent').runs - 1}; a seed gives the same weights "
        "in both Xavier starts. Xavier is Glorot's normal, std = sqrt(2 / (fan_in + fan_out)), as "
        "there, and its biases are N(0, 1), unscaled.",
        "By gradient descent: biases are subtracted, and follow their gradients as weights do. By "
        "the series' rule: a layer subtracts its bias, which then moves as if it were added, so up "
        "its gradient. With biases added: they are, and follow their gradients.",
        "Claims are judged on the hidden weights by rows with biases subtracted, the one reading "
        f"of the fixed weights that prints {LARGE_PRINTS}; random weights have no order.",
    ]
