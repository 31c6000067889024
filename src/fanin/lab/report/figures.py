"""The report's plots of one comparison: seeds as dots, learning curves, depth."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from fanin.lab.depth import DepthRow
from fanin.lab.report import formatting
from fanin.lab.report.drawing import ACCENT, FAILED, FAINT, INK, SERIES, Drawing, drawing
from fanin.lab.result import Result, ResultRow
from fanin.lab.training.trial import running_mean

WIDE, NARROW = 10.4, 3.7  # inches: the page on a screen, and on a telephone
HIGHEST, LOWEST = 1.3, 1e-3  # times the loss of guessing: the ends of a loss axis
SMOOTH = 25  # a mean over one in so many of the steps keeps the course and drops the noise
POINTS = 100  # of a curve
LINE = 0.065  # of the height of a plot: a line of text
TIPS = 20  # of a curve: places that show their values


def score_dots(comparison: Result, width: float) -> str:
    """Every seed as a dot, with the mean and its interval: one line per initializer, best first."""
    rows = comparison.ranked
    percent = comparison.settings.task == "classification"
    title = f"{'Test accuracy' if percent else 'R²'} of every seed, by initializer"
    is_narrow = width == NARROW
    with drawing(title, (width, 0.55 + (0.48 if is_narrow else 0.34) * len(rows))) as made:
        axes, names = made.axes, [row.name for row in rows]
        for line, row in enumerate(rows):
            _dot_line(made, -line, row, comparison)
            if is_narrow:
                axes.text(0, 0.28 - line, row.name, transform=axes.get_yaxis_transform())
        places = [-line for line in range(len(rows))]
        axes.set_yticks([] if is_narrow else places, None if is_narrow else names)
        label = "test accuracy, %" if percent else "R²"
        axes.set(xlabel=label, ylim=(0.4 - len(rows), 0.7 if is_narrow else 0.5))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=FAINT, alpha=0.3)
    return made.svg


def _dot_line(made: Drawing, y: int, row: ResultRow, comparison: Result) -> None:
    axes, interval = made.axes, row.score
    scale = 100 if comparison.settings.task == "classification" else 1
    for trial in row.trials:
        marker, colour = ("x", FAILED) if trial.failed else ("o", ACCENT)
        dots = axes.plot(scale * trial.score, y, marker, color=colour, alpha=0.6, ms=5, mew=1.2)
        how = f", {trial.verdict}" if trial.failed else ""
        value = formatting.score(comparison, trial.score)
        made.tip(dots[0], f"{row.name}, seed {trial.seed}: {value}{how}")
    axes.plot([scale * interval.low, scale * interval.high], [y, y], color=INK, lw=1.2)
    mean = axes.plot(scale * interval.mean, y, "|", color=INK, ms=12, mew=2)
    value = formatting.score(comparison, interval.mean)
    made.tip(mean[0], f"{row.name}, mean {value}, {formatting.bounds(comparison, interval)}")


def loss_curves(comparison: Result, width: float) -> str:
    """The median training loss of all rows, smoothed, in one plot."""
    is_narrow = width == NARROW
    with drawing("Training loss by step, of all initializers", (width, 3.6)) as made:
        axes = made.axes
        ends = [_curve(made, comparison, index) for index in range(len(comparison.rows))]
        axes.axhline(comparison.guess, color=INK, lw=0.8, ls=":")
        axes.axhline(comparison.target, color=INK, lw=0.8, ls="--")
        steps = comparison.settings.setup.steps
        axes.set(xlabel="step", ylabel="training loss", xlim=(0, steps))
        _loss_axis(axes, ends, comparison)
        names = [row.name for row in comparison.rows]
        lost = [name for name, end in zip(names, ends, strict=True) if np.isnan(end)]
        if lost:
            axes.set_title(f"every run met NaN: {', '.join(lost)}", fontsize=9, wrap=True)
        if is_narrow:
            count = 1 if max(map(len, names)) > 18 else 2
            axes.legend(
                loc="upper center", bbox_to_anchor=(0.45, -0.18), ncols=count, frameon=False
            )
        else:
            _label_ends(axes, ends, names)
    return made.svg


def _loss_axis(axes: Axes, ends: Sequence[float], comparison: Result) -> None:
    """From the lowest end of a curve to the loss of guessing, with plain numbers as ticks."""
    known = [end for end in ends if np.isfinite(end)] + [comparison.target]
    low = max(min(known) / HIGHEST, LOWEST * comparison.guess)
    high = HIGHEST * max(comparison.guess, comparison.target)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) < 5 else (1,)
    ticks = [tick for power in powers for n in factors if low <= (tick := n * 10.0**power) <= high]
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _curve(made: Drawing, comparison: Result, index: int) -> float:
    """Draw a row's curve; returns its last value, NaN where every run met NaN."""
    row, (colour, style) = comparison.rows[index], _style(index)
    steps, losses = _smooth(comparison, row)
    if not len(losses):
        made.axes.plot([], [], color=colour, ls=style, label=row.name)
        return float("nan")
    middle = np.median(losses, axis=0)
    made.axes.plot(steps, middle, color=colour, ls=style, lw=1.6, label=row.name)
    for place in range(0, len(steps), max(1, len(steps) // TIPS)):
        step, seeds = steps[place], losses[:, place]
        point = made.axes.plot(step, middle[place], "o", color=colour, ms=9, alpha=0)
        span = f"seeds from {seeds.min():.3g} to {seeds.max():.3g}"
        made.tip(point[0], f"{row.name}, step {step}: loss {middle[place]:.3g}, {span}")
    return float(middle[-1])


def _style(index: int) -> tuple[str, str]:
    return SERIES[index % len(SERIES)], ("-", "--", ":")[index // len(SERIES) % 3]


def _smooth(comparison: Result, row: ResultRow) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Steps, and losses (trials, steps); those that met NaN have no place on a loss axis."""
    finite = [trial.losses for trial in row.trials if trial.verdict != "nan"]
    length = min(map(len, finite), default=0)  # of what Ctrl-C cut short
    window = min(length, max(comparison.settings.setup.window, length // SMOOTH))
    if not length:
        return np.zeros(0, np.int64), np.zeros((0, 0))
    count = min(POINTS, length - window + 1)
    steps = np.linspace(window, length, count).round().astype(np.int64)
    curves = [running_mean(losses[:length], window)[steps - window] for losses in finite]
    return steps, np.stack(curves)


def _label_ends(axes: Axes, ends: Sequence[float], names: Sequence[str]) -> None:
    """Names at the curves' ends, pushed apart where they would cover each other."""
    low, high = np.log(axes.get_ylim())
    heights = np.clip((np.log(ends) - low) / (high - low), 0, 1)  # as shares of the axis
    order = [int(index) for index in np.argsort(heights) if np.isfinite(heights[index])]
    places: list[float] = []
    for index in order:
        places.append(max(heights[index], places[-1] + LINE) if places else heights[index])
    over = max(0.0, places[-1] - 1) if places else 0.0
    for index, place in zip(order, places, strict=True):
        colour, _ = _style(index)
        axes.annotate(
            names[index],
            xy=(1, heights[index]),
            xytext=(1.04, place - over),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=colour,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "relpos": (0, 0.5)},
        )


def depth_panels(comparison: Result) -> list[str]:
    """For each row: the share of runs that did not fail, by depth, before the other rows."""
    return [_depth_panel(comparison.depths, index) for index, row in enumerate(comparison.depths)]


def _depth_panel(rows: Sequence[DepthRow], index: int) -> str:
    with drawing(f"Runs that learned, by depth, {rows[index].name}") as made:
        axes = made.axes
        for row in (*rows[:index], *rows[index + 1 :], rows[index]):
            own = row is rows[index]
            depths = [depth for depth, trials in row.trials.items() if trials]
            shares = [100 * row.count_learned(d) / len(row.trials[d]) for d in depths]
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
