"""`fanin study`: measure again what articles and papers say about initialization."""

import argparse
from pathlib import Path
from typing import Any

from fanin.commands import _output
from fanin.commands._table import print_grid
from fanin.errors import FaninError
from fanin.studies._registry import NAMES, find

_ALL = "all"


def add(commands: Any) -> None:
    """Add the parser of `fanin study`."""
    parser = commands.add_parser(
        "study",
        help="replay articles and classic results as measurements",
        description="Run a study: print each claim of its source, what was measured, and whether "
        "it holds. Writes a page with figures, and result.json. Finished parts are kept: the same "
        "command goes on where it was.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(NAMES)}; or {_ALL}"
    )
    parser.add_argument("--list", action="store_true", help="list the studies")
    parser.add_argument(
        "--quick", action="store_true", help="smaller samples: seconds instead of minutes"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="fanin-study",
        help="folder for the results and the finished parts, one below it for each study "
        "(default: fanin-study)",
    )
    parser.add_argument(
        "--page", metavar="DIR", help="write the pages and their figures into this folder too"
    )
    parser.add_argument("--fresh", action="store_true", help="forget the finished parts")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    names = list(dict.fromkeys(arguments.names))
    if arguments.list == bool(names):
        raise FaninError(f"give a study, one of {', '.join(NAMES)}, or {_ALL}; or --list.")
    for name in names:
        if name not in (*NAMES, _ALL):
            raise FaninError(f"unknown study {name!r}. Known are {', '.join(NAMES)}, and {_ALL}.")

    if arguments.list:
        from fanin.studies._summary import listing

        print_grid(listing([find(name) for name in NAMES]))
        return

    from fanin.lab.files import check_folder

    for folder in (arguments.out, arguments.page):
        if folder is not None:
            check_folder(folder)
    for name in NAMES if _ALL in names else names:
        _study(name, arguments)


def _study(name: str, arguments: argparse.Namespace) -> None:
    from fanin.studies._page import write_json, write_page
    from fanin.studies._run import run
    from fanin.studies._summary import summary

    out = Path(arguments.out)
    result = run(
        find(name),
        "quick" if arguments.quick else "full",
        folder=out,
        fresh=arguments.fresh,
        show=True,
    )
    for table in summary(result):
        print_grid(table)
    written = write_page(result, out / name) + write_json(result, out / name)
    if arguments.page is not None:
        written += write_page(result, Path(arguments.page))
    for path in written:
        _output.show(f"wrote {path}\n")
