"""The report's plots of one comparison: seeds as dots, learning curves, depth, signals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fanin.lab.drawing import ACCENT, FAILED, FAINT, INK, drawing

if TYPE_CHECKING:
    from fanin.lab.comparison import Comparison, Row
    from fanin.lab.depth import DepthRow
HIGHEST = 100.0  # times the loss of guessing: the end of a loss axis


def score_dots(comparison: Comparison) -> str:
    """Every seed as a dot, with the mean and its interval: one line per initializer."""
    rows = comparison.rows
    percent = comparison.settings.task == "classification"
    title = f"{'Test accuracy' if percent else 'R²'} of every seed, by initializer"
    with drawing(title, (4.2, 0.5 + 0.48 * len(rows))) as made:
        for line, row in enumerate(rows):
            _dot_line(made.axes, -line, row, 100 if percent else 1)
        label = "test accuracy, %" if percent else "R²"
        made.axes.set(xlabel=label, ylim=(0.4 - len(rows), 0.7), yticks=[])
        made.axes.spines["left"].set_visible(False)
        made.axes.grid(axis="x", color=FAINT, alpha=0.3)
    return made.svg


def _dot_line(axes: Axes, y: int, row: Row, scale: float) -> None:
    interval = row.score
    for trial in row.trials:
        marker, colour = ("x", FAILED) if trial.failed else ("o", ACCENT)
        axes.plot(scale * trial.score, y, marker, color=colour, alpha=0.6, ms=5, mew=1.2)
    axes.plot([scale * interval.low, scale * interval.high], [y, y], color=INK, lw=1.2)
    axes.plot(scale * interval.mean, y, "|", color=INK, ms=12, mew=2)
    axes.text(0, y + 0.28, row.name, transform=axes.get_yaxis_transform(), fontsize=9)


def loss_curves(comparison: Comparison) -> list[str]:
    """For each row a panel: its median loss and range over seeds, before the others' medians."""
    curves = [_curves(comparison, row) for row in comparison.rows]
    return [_panel(comparison, index, curves) for index in range(len(curves))]


def _curves(comparison: Comparison, row: Row) -> NDArray[np.float64]:
    """Smoothed losses (trials, points); those that met NaN have no place on a loss axis."""
    steps = comparison.settings.setup.curve_steps
    finite = [trial.curve(steps) for trial in row.trials if trial.verdict != "nan"]
    return np.array(finite).reshape(-1, len(steps))


def _panel(comparison: Comparison, index: int, curves: list[NDArray[np.float64]]) -> str:
    row, own = comparison.rows[index], curves[index]
    steps = comparison.settings.setup.curve_steps
    with drawing(f"Training loss of {row.name}") as made:
        axes = made.axes
        for other in curves:
            if len(other):
                axes.plot(steps, np.median(other, axis=0), color=FAINT, lw=0.8, alpha=0.6)
        if len(own):
            low, high = own.min(axis=0), own.max(axis=0)
            axes.fill_between(steps, low, high, color=ACCENT, alpha=0.2, lw=0)
            axes.plot(steps, np.median(own, axis=0), color=ACCENT, lw=1.8)
        if not len(own) or low.min() > HIGHEST * comparison.guess:
            why = "above this axis" if len(own) else "every run met NaN"
            axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center")
        axes.axhline(comparison.guess, color=INK, lw=0.8, ls=":")
        axes.axhline(comparison.target, color=INK, lw=0.8, ls="--")
        axes.set_yscale("log")
        axes.set(xlabel="step", ylabel="training loss", xlim=(0, steps[-1]))
        guides = np.array([comparison.target, comparison.guess])
        # A run that diverged may not press all others flat.
        values = np.concatenate([*(curve.ravel() for curve in curves), guides])
        _share_limits(axes, values[values < HIGHEST * comparison.guess], floor=1e-3)
    return made.svg


def _share_limits(axes: Axes, values: NDArray[np.float64], floor: float) -> None:
    """The same logarithmic axis in every panel, with plain numbers as its ticks."""
    low, high = max(values.min(), floor) / 1.2, values.max() * 1.2
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) < 4 else (1,)
    every = [factor * 10.0**power for power in powers for factor in factors]
    inside = [tick for tick in every if low <= tick <= high]
    ticks = inside[:: 1 + len(inside) // 6]
    axes.set_ylim(low, high)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def depth_panels(comparison: Comparison) -> list[str]:
    """For each row: the share of runs that did not fail, by depth, before the other rows."""
    return [_depth_panel(comparison.depths, index) for index, row in enumerate(comparison.depths)]


def _depth_panel(rows: Sequence[DepthRow], index: int) -> str:
    with drawing(f"Runs that learned, by depth, {rows[index].name}") as made:
        axes = made.axes
        for row in (*rows[:index], *rows[index + 1 :], rows[index]):
            own = row is rows[index]
            depths = [depth for depth, trials in row.trials.items() if trials]
            shares = [100 * row.learned(d) / len(row.trials[d]) for d in depths]
            style = (
                {"color": ACCENT, "lw": 1.8, "marker": "o", "ms": 4}
                if own
                else {"color": FAINT, "lw": 0.8, "alpha": 0.6}
            )
            axes.plot(depths, shares, **style)  # type: ignore[arg-type]
            if own:
                scores = [100 * row.score(depth) for depth in depths]
                axes.plot(depths, scores, color=INK, lw=1, ls="--")
        axes.axhline(50, color=INK, lw=0.8, ls=":")
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(rows[0].trials), [str(depth) for depth in rows[0].trials])
        axes.minorticks_off()
        axes.set(xlabel="depth", ylabel="%", ylim=(-4, 104))
    return made.svg


def signal_panels(comparison: Comparison) -> list[str]:
    """For each row: RMS by layer at initialization, of outputs and of their gradients."""
    forward = [_signals(row, "forward") for row in comparison.rows]
    backward = [_signals(row, "backward") for row in comparison.rows]
    every = np.concatenate([values.ravel() for values in (*forward, *backward)])
    return [
        _signal_panel(row, *values, every)
        for row, values in zip(comparison.rows, zip(forward, backward, strict=True), strict=True)
    ]


def _signals(row: Row, which: str) -> NDArray[np.float64]:
    """RMS (trials, layers); zero and what is not finite, which a log axis has not, as NaN."""
    values = np.array([getattr(trial.signals, which) for trial in row.trials], np.float64)
    return np.where(np.isfinite(values) & (values > 0), values, np.nan)


def _signal_panel(
    row: Row,
    forward: NDArray[np.float64],
    backward: NDArray[np.float64],
    every: NDArray[np.float64],
) -> str:
    with drawing(f"Signals at initialization, {row.name}") as made:
        axes = made.axes
        for values, colour in ((forward, ACCENT), (backward, FAILED)):
            layers = np.arange(1, values.shape[1] + 1)
            known = np.isfinite(values).any(axis=0)
            if known.any():
                here, middle = values[:, known], layers[known]
                low, high = np.nanmin(here, axis=0), np.nanmax(here, axis=0)
                axes.fill_between(middle, low, high, color=colour, alpha=0.2, lw=0)
                axes.plot(middle, np.nanmedian(here, axis=0), "o-", color=colour, lw=1.6, ms=3.5)
        axes.set_yscale("log")
        finite = every[np.isfinite(every)]
        if len(finite):
            _share_limits(axes, finite, floor=1e-30)
        ticks = range(1, forward.shape[1] + 1, 1 + forward.shape[1] // 8)
        axes.set_xticks(list(ticks))
        axes.set(xlabel="layer", ylabel="RMS")
    return made.svg
