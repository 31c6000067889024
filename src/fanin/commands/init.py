"""`fanin init`: the initializers that there are."""

import argparse
from typing import Any

from fanin.errors import FaninError
from fanin.initializers._registry import ENTRIES


def add(commands: Any) -> None:
    """Add the parser of `fanin init`."""
    parser = commands.add_parser(
        "init",
        help="the catalogue of initializers",
        description="Print the catalogue of initializers: what the values are, which axes they "
        "read, what they preserve, and where they come from.",
    )
    parser.add_argument("--list", action="store_true", help="list all initializers")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if not arguments.list:
        raise FaninError("nothing to do: 'fanin init --list' prints the catalogue.")
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD)
    for column in ("initializer", "values", "reads", "preserves", "source"):
        grid.add_column(column, no_wrap=column == "initializer")
    for row in ENTRIES.values():
        grid.add_row(row.name, row.values(), row.reads, row.preserves, row.source)
    Console(markup=False, highlight=False).print(grid)
