"""Completion: a script with which a shell completes the command line."""

import argparse
from typing import Any

from fanin.errors import FaninError

_SHELLS = ("bash", "zsh", "tcsh")


def add(parser: argparse.ArgumentParser) -> None:
    """Add --print-completion."""
    parser.add_argument(
        "--print-completion",
        action=_Print,
        choices=_SHELLS,
        metavar="SHELL",
        help=f"print the script with which a shell completes fanin: {', '.join(_SHELLS)}",
    )


class _Print(argparse.Action):
    """Prints the script and ends the program, as --version does."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        try:
            import shtab
        except ModuleNotFoundError:
            raise FaninError(
                "shtab is missing. Install it: pip install 'fanin[completion]'"
            ) from None
        print(shtab.complete(parser, values))
        parser.exit()
