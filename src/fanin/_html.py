"""HTML for notebooks: text and tables in the colours of the page, light or dark; no script.

A notebook's theme need not be the system's, which is all that `prefers-color-scheme` tells. So text
and lines take the page's own colour; what stands out has titles in tones between light and dark,
whose contrast with white and with #111 is above 4 : 1, and rows that are tinted behind their text.
"""

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import Literal

Tone = Literal["", "error", "warning"]

# !important is against the notebooks' own rules for tables, which are more specific.
_STYLE = """
.fanin{color:inherit;line-height:1.45}
.fanin b.error{color:#e03131}
.fanin b.warning{color:#a06f00}
.fanin tr.error{background:color-mix(in srgb,#e03131 22%,transparent)!important}
.fanin tr.warning{background:color-mix(in srgb,#a06f00 25%,transparent)!important}
.fanin p{margin:.3em 0}
.fanin pre{margin:.5em 0;padding:0;background:none;color:inherit;font-family:monospace}
.fanin div{margin:.5em 0;overflow:auto;max-height:36em}
.fanin table{margin:0;border-collapse:collapse;color:inherit;font-variant-numeric:tabular-nums}
.fanin th,.fanin td{padding:.2em .6em;border:0;vertical-align:top;text-align:left!important}
.fanin td{border-top:1px solid color-mix(in srgb,currentColor 25%,transparent)}
.fanin td:last-child{min-width:9em}
.fanin .number{min-width:0!important;text-align:right!important;white-space:nowrap}
"""


def join_parts(parts: Iterable[str]) -> str:
    """Parts of HTML as one block."""
    return f'<div class="fanin"><style>{_STYLE}</style>\n{"".join(parts)}</div>'


def paragraph(text: str, title: str = "", tone: Tone = "") -> str:
    """Text, after a bold title if there is one, which has the tone."""
    bold = f'<b class="{tone}">{escape(title)}</b>' if title else ""
    return f"<p>{' '.join(filter(None, [bold, escape(text)]))}</p>\n"


def preformat(text: str) -> str:
    """Lines whose columns stand below each other."""
    return f"<pre>{escape(text)}</pre>\n"


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[int] = (),
    tones: Sequence[Tone] = (),
) -> str:
    """A table, which scrolls where it is large; the columns in `right` hold numbers.

    `tones` has that of each row.
    """
    lines = [_line("th", headers, right, "")]
    for row, tone in zip(rows, tones or [""] * len(rows), strict=True):
        lines.append(_line("td", row, right, tone))
    return f"<div><table>\n{''.join(lines)}</table></div>\n"


def _line(tag: str, cells: Sequence[str], right: Collection[int], tone: str) -> str:
    kinds = (' class="number"' if at in right else "" for at in range(len(cells)))
    filled = (
        f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)
    )
    return f'<tr class="{tone}">{"".join(filled)}</tr>\n'
