"""Drawing: matplotlib figures as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# matplotlib draws in these stand-ins; in the SVG each becomes a variable of the page, which has
# one value in light and another in dark mode.
INK, FAINT, ACCENT, FAILED = "#010101", "#020202", "#030303", "#040404"
SERIES = tuple(f"#0500{number:02x}" for number in range(10))  # colours that tell lines apart
VARIABLES = {INK: "--ink", FAINT: "--faint", ACCENT: "--accent", FAILED: "--failed"}
VARIABLES |= {stand_in: f"--series-{number}" for number, stand_in in enumerate(SERIES)}
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
        self.tips: list[str] = []

    def tip(self, artist: Artist, text: str) -> None:
        """Let an artist show a text where a pointer rests on it."""
        artist.set_gid(f"tip-{len(self.tips)}")
        self.tips.append(text)


@contextmanager
def drawing(title: str, size: tuple[float, float] = PANEL) -> Iterator[Drawing]:
    """A plot in the page's style, with a title for those who cannot see it."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        made = Drawing(figure.subplots())
        yield made
        made.svg = _svg(figure, title, made.tips)


def _svg(figure: Figure, title: str, tips: Sequence[str]) -> str:
    """The figure as an <svg> element that may stand beside others in one page."""
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    svg = buffer.getvalue()
    # The title is a label: as an element it would cover those of single marks.
    svg = f'<svg role="img" aria-label="{escape(title)}"' + svg[svg.index("<svg") + 4 :]
    for number, text in enumerate(tips):
        mark = f'<g id="tip-{number}">'
        svg = svg.replace(mark, f"<g><title>{escape(text)}</title>", 1)
    # Ids that count from one in every figure would repeat within the page; nothing refers to them.
    svg = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", svg)
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    return svg
