"""The report's plots, as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
import math
import re
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fanin.lab.trial import curve_steps

if TYPE_CHECKING:
    from fanin.lab.comparison import Comparison, Row

# matplotlib draws in these stand-ins; in the SVG each becomes a variable of the page, which has
# one value in light and another in dark mode.
INK, FAINT, ACCENT, FAILED = "#010101", "#020202", "#030303", "#040404"
VARIABLES = {INK: "--ink", FAINT: "--faint", ACCENT: "--accent", FAILED: "--failed"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fanin",  # the same comparison gives the same file
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


def accuracy_dots(comparison: Comparison) -> str:
    """Every seed as a dot, with the mean and its interval: one line per initializer."""
    rows = comparison.rows
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 0.5 + 0.48 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for line, row in enumerate(rows):
            _dot_line(axes, -line, row)
        axes.set(xlabel="test accuracy, %", ylim=(0.4 - len(rows), 0.7), yticks=[])
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT, alpha=0.3)
        return _svg(figure, "Test accuracy of every seed, by initializer")


def _dot_line(axes: Axes, y: int, row: Row) -> None:
    interval = row.accuracy
    for trial in row.trials:
        marker, colour = ("x", FAILED) if trial.failed else ("o", ACCENT)
        axes.plot(100 * trial.accuracy, y, marker, color=colour, alpha=0.6, ms=5, mew=1.2)
    axes.plot([100 * interval.low, 100 * interval.high], [y, y], color=INK, lw=1.2)
    axes.plot(100 * interval.mean, y, "|", color=INK, ms=12, mew=2)
    axes.text(0, y + 0.28, row.name, transform=axes.get_yaxis_transform(), fontsize=9)


def loss_curves(comparison: Comparison) -> list[str]:
    """For each row a panel: its median loss and range over seeds, before the others' medians."""
    curves = [_curves(comparison, row) for row in comparison.rows]
    with matplotlib.rc_context(STYLE):
        return [_panel(comparison, index, curves) for index in range(len(curves))]


def _curves(comparison: Comparison, row: Row) -> NDArray[np.float64]:
    """Smoothed losses (trials, points); diverged trials have no place on a loss axis."""
    finite = [trial for trial in row.trials if trial.verdict != "diverged"]
    points = len(curve_steps(comparison.settings))
    return np.array([t.curve(comparison.settings) for t in finite]).reshape(-1, points)


def _panel(comparison: Comparison, index: int, curves: list[NDArray[np.float64]]) -> str:
    settings, row, own = comparison.settings, comparison.rows[index], curves[index]
    steps = curve_steps(settings)
    figure = Figure(figsize=(3.4, 2.4), layout="constrained")
    axes = figure.subplots()
    for other in curves:
        if len(other):
            axes.plot(steps, np.median(other, axis=0), color=FAINT, lw=0.8, alpha=0.6)
    if len(own):
        axes.fill_between(steps, own.min(axis=0), own.max(axis=0), color=ACCENT, alpha=0.2, lw=0)
        axes.plot(steps, np.median(own, axis=0), color=ACCENT, lw=1.8)
    else:
        axes.text(0.5, 0.5, "every run diverged", transform=axes.transAxes, ha="center")
    axes.axhline(math.log(comparison.classes), color=INK, lw=0.8, ls=":")
    axes.axhline(settings.target_loss, color=INK, lw=0.8, ls="--")
    axes.set_yscale("log")
    axes.set(xlabel="step", ylabel="training loss", xlim=(0, settings.steps))
    _share_limits(axes, curves, settings.target_loss, comparison.classes)
    return _svg(figure, f"Training loss of {row.name}")


def _share_limits(
    axes: Axes, curves: list[NDArray[np.float64]], target: float, classes: int
) -> None:
    """The same loss axis in every panel, with plain numbers as its ticks."""
    values = np.concatenate([curve.ravel() for curve in curves] + [[target, math.log(classes)]])
    low, high = max(values.min(), 1e-3) / 1.2, values.max() * 1.2
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [10.0**power for power in powers[:: 1 + len(powers) // 6]]
    axes.set_ylim(low, high)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _svg(figure: Figure, title: str) -> str:
    """The figure as an <svg> element that may stand beside others in one page."""
    buffer = io.StringIO()
    metadata = {"Title": title, "Date": None, "Creator": None, "Format": None, "Type": None}
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # Ids that count from one in every figure would repeat within the page; nothing refers to them.
    svg = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", svg)
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    return svg
