"""Drawing: matplotlib figures as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
PANEL = (3.4, 2.4)  # inches


class Drawing:
    """One plot: `axes` to draw on; `svg` is there when `drawing` ends."""

    def __init__(self, axes: Axes) -> None:
        self.axes = axes
        self.svg = ""


@contextmanager
def drawing(title: str, size: tuple[float, float] = PANEL) -> Iterator[Drawing]:
    """A plot in the page's style, with a title for those who cannot see it."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        made = Drawing(figure.subplots())
        yield made
        made.svg = _svg(figure, title)


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
