"""Completion: a script with which a shell completes the command line."""

import argparse
from typing import Any

from fanin.errors import FaninError, quote


def add(parser: argparse.ArgumentParser) -> None:
    """Add --print-completion."""
    parser.add_argument(
        "--print-completion",
        action=_Print,
        metavar="SHELL",
        help="print the script with which a shell completes fanin: bash, zsh, or another that "
        "shtab knows",
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
        if values not in shtab.SUPPORTED_SHELLS:
            known = ", ".join(shtab.SUPPORTED_SHELLS)
            raise FaninError(f"--print-completion is {quote(values)}; shtab knows {known}.")
        print(shtab.complete(parser, values))
        parser.exit()
