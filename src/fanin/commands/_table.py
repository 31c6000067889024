"""Tables on stdout: by rich, or in aligned columns where rich is missing."""

import os
from collections.abc import Collection, Sequence
from typing import Any

from fanin._columns import align
from fanin.commands import _output


def show_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    caption: str = "",
) -> None:
    """Print rows of cells; the columns in `right` hold numbers, and a first cell is never cut."""
    try:
        from rich import box
        from rich.table import Table
        from rich.text import Text
    except ModuleNotFoundError:
        lines = align([headers, *rows], right)
        _output.show("\n".join([*lines, *filter(None, [caption]), "", ""]))
        return
    grid = Table(box=box.SIMPLE_HEAD, caption=caption or None, caption_justify="left")
    for index, header in enumerate(headers):
        grid.add_column(header, justify="right" if index in right else "left", no_wrap=not index)
    for row in rows:
        grid.add_row(*map(Text, row))  # not str, in which brackets would be markup
    print_grid(grid)


def print_grid(grid: Any) -> None:
    """Print a table of rich: as wide as it is, where no terminal limits it; no word is cut."""
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = console.measure(grid, options=console.options.update(width=10**4)).maximum
    for column in grid.columns:
        column.overflow = "fold"
    console.print(grid)
