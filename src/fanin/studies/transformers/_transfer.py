"""Whether the best learning rate stays where it is as a network grows: rule and picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fanin.studies._drawing import PALETTE, legend_beside, panels, plain_ticks
from fanin.studies._rows import ClaimRow
from fanin.studies._study import Figure

FACTOR = 2.0  # a best rate moves where it changes by this or more
RULE = (
    "A best rate is that of a parabola through the lowest mean of the grid, and moves where it "
    f"changes by a factor of {FACTOR:g} or more from the smallest size to the largest; undecided "
    "where one of the two is at the edge of the grid."
)

Losses = Mapping[str, Sequence[float | None]]  # by learning rate, one for each seed


@dataclass(frozen=True)
class Parametrizations:
    """Two parametrizations over sizes: the best rate of one is said to move, of the other to stay.

    Parts are named `{parametrization}, {growing} {size}` and hold Losses.
    """

    growing: str
    moving: str
    staying: str

    def key(self, name: str, size: int) -> str:
        """The name of a part."""
        return f"{name}, {self.growing} {size}"

    def read(self, found: Mapping[str, Any], name: str) -> dict[int, Losses]:
        """What was measured of a parametrization by size, ascending."""
        start = self.key(name, 0).removesuffix("0")
        sizes = {int(key.removeprefix(start)): key for key in found if key.startswith(start)}
        return {size: found[key] for size, key in sorted(sizes.items())}


def average(losses: Losses) -> dict[float, float]:
    """The mean loss of every rate; infinite where a run diverged."""
    return {
        float(rate): math.inf if None in values else float(np.mean(values))  # type: ignore[arg-type]
        for rate, values in losses.items()
    }


def find_best(losses: Losses) -> float | None:
    """The rate with the lowest mean loss, between those of the grid; None at its edge."""
    curve = average(losses)
    rates = sorted(curve)
    at = min(range(len(rates)), key=lambda index: curve[rates[index]])
    if at in (0, len(rates) - 1):
        return None
    below, lowest, above = (curve[rates[at + move]] for move in (-1, 0, 1))
    if math.isinf(below + above):
        return rates[at]
    bend = below - 2 * lowest + above
    move = 0.5 * (below - above) / bend if bend else 0.0
    return float(rates[at] * (rates[at + 1] / rates[at]) ** move)


def judge_transfer(
    found: Mapping[str, Any], growth: Parametrizations, name: str, row: ClaimRow
) -> ClaimRow:
    """The row with whether the best rates of a parametrization do what is said of them."""
    by_size = growth.read(found, name)
    best = {size: find_best(losses) for size, losses in by_size.items()}
    small, large = best[min(best)], best[max(best)]
    told = ", ".join(f"{size}: {f'{rate:.2g}' if rate else 'edge'}" for size, rate in best.items())
    lowest = min(average(by_size[max(best)]).values())
    moves, by = None, ""
    if small and large:
        moves = abs(math.log(large / small)) >= math.log(FACTOR)
        by = f", times {large / small:.2g} in all"
    return replace(
        row,
        trained=True,
        measured=f"Best rates of {name} by {growth.growing} {told}{by}. Lowest mean loss at the "
        f"largest {lowest:.3f}.",
        holds=None if moves is None else moves == (name == growth.moving),
        rule=RULE,
    )


def draw_transfer(
    found: Mapping[str, Any], growth: Parametrizations, name: str, title: str
) -> Figure:
    """The loss over the rate, a line for each size, of both parametrizations."""

    def draw(axes: Sequence[Axes]) -> None:
        for panel, parametrization in zip(axes, (growth.moving, growth.staying), strict=True):
            by_size = growth.read(found, parametrization)
            for colour, (size, losses) in zip(PALETTE, by_size.items(), strict=False):
                curve = average(losses)
                panel.plot([*curve], [*curve.values()], "o-", ms=3, color=colour, label=str(size))
            panel.set(xscale="log", xlabel="learning rate", title=parametrization)
            plain_ticks(panel.xaxis)
        axes[0].set_ylabel("loss")
        axes[-1].sharey(axes[0])
        legend_beside(axes[-1])

    caption = f"Each line is one {growth.growing}; a rate at which a run diverged has no point."
    return Figure(name, title, lambda: panels(title, 2, draw), caption)
