"""The `fanin` command: a thin shell over the library.

A command is a function that adds its parser and names what it runs; list it in COMMANDS. It
imports what it needs when it runs, so that `fanin --help` needs NumPy alone.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import fanin
from fanin.commands import check, compare, gain, init, study
from fanin.errors import FaninError

LAB_LIBRARIES = (
    "torch",
    "rich",
    "matplotlib",
    "jinja2",
    "scipy",
    "sklearn",
    "mlxtend",
    "plotille",
    "safetensors",
)
Commands = Any  # argparse names the type of add_subparsers() only privately


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as the library reports wrong input: in one line."""

    def error(self, message: str) -> NoReturn:
        raise FaninError(f"{message}. See {self.prog} --help.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: its own or 0, 2 for bad input, 130 for Ctrl-C."""
    try:
        arguments = _parser().parse_args(argv)
        status: int | None = arguments.run(arguments)
    except FaninError as error:
        return _fail(f"error: {error}", 2)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in LAB_LIBRARIES:
            raise
        return _fail(f"error: {library} is missing. Install it: pip install 'fanin[lab]'", 2)
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "interrupted", 130)
    return status or 0


def _fail(message: str, status: int) -> int:
    # One line even where a file's name or content, quoted in the message, holds line breaks.
    print(" ".join(f"fanin: {message}".split()), file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fanin", description="Weight initialization for neural networks.")
    parser.add_argument("--version", action="version", version=f"fanin {fanin.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return parser


COMMANDS: tuple[Callable[[Commands], None], ...] = (
    check.add,
    compare.add,
    gain.add,
    init.add,
    study.add,
)
