"""Figures of studies: one or more panels in the lab's style, as an SVG file that stands alone."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from fanin.lab.report.drawing import ACCENT, FAILED, FAINT, INK, VARIABLES, drawing

# Okabe and Ito's colours, which the colour-blind can tell apart, without their yellow.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#8c564b")
_COLOURS = {INK: "#1f2328", FAINT: "#6e7781", ACCENT: PALETTE[0], FAILED: PALETTE[1]}


def panels(
    title: str,
    count: int,
    draw: Callable[[Sequence[Axes]], object],
    size: tuple[float, float] = (3.6, 2.8),
) -> str:
    """An SVG file: `draw` gets so many axes, side by side, each of `size` inches."""
    with drawing(title, (count * size[0], size[1])) as made:
        figure = made.axes.figure
        assert isinstance(figure, Figure)
        made.axes.remove()
        draw(list(figure.subplots(1, count, squeeze=False)[0]))
    colours = "".join(f"{VARIABLES[key]}:{value};" for key, value in _COLOURS.items())
    # White whatever the page's colour is: a file cannot know it.
    style = f"<style>svg{{{colours}background:#fff}}</style>"
    opening, closing, rest = made.svg.partition(">")
    return f"{opening}{closing}\n{style}{rest}"


def plain_ticks(axis: Axis) -> None:
    """Ticks of a logarithmic axis such as 1e-06: the lab's style knows no formulas."""
    axis.set_major_formatter(lambda value, position: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", size=0)


def legend_beside(axes: Axes) -> None:
    """The legend of the last panel, to its right, over no line."""
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
