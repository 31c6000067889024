"""The `fanin` command: a thin shell over the library.

A command is a function that adds its parser and names what it runs; list it in COMMANDS. It
imports what it needs when it runs, so that `fanin --help` needs NumPy alone.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, NoReturn

import fanin
from fanin.commands import gain, init
from fanin.errors import FaninError
from fanin.lab.settings import Settings

LAB_LIBRARIES = ("torch", "rich", "matplotlib", "jinja2", "scipy", "sklearn", "mlxtend", "plotille")
Commands = Any  # argparse names the type of add_subparsers() only privately


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as the library reports wrong input: in one line."""

    def error(self, message: str) -> NoReturn:
        raise FaninError(f"{message}. See {self.prog} --help.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0, 2 for bad input, 130 for Ctrl-C."""
    try:
        arguments = _parser().parse_args(argv)
        arguments.run(arguments)
    except FaninError as error:
        return _fail(f"error: {error}", 2)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in LAB_LIBRARIES:
            raise
        return _fail(f"error: {library} is missing. Install it: pip install 'fanin[lab]'", 2)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    return 0


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


def _add_compare(commands: Commands) -> None:
    parser = commands.add_parser(
        "compare",
        help="train one network from several initializations and compare",
        description="Train a small convolutional network on real images from several "
        "initializations, each from the same seeds. Prints a table; writes report.html and "
        "results.json.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )

    def setting(name: str, metavar: str, text: str, flag: str | None = None) -> None:
        default = getattr(Settings, name)
        flag = flag or f"--{name.replace('_', '-')}"
        parser.add_argument(
            flag, dest=name, metavar=metavar, type=type(default), default=default, help=text
        )

    parser.add_argument(
        "--initializers",
        nargs="+",
        metavar="NAME",
        default=Settings.initializers,
        help="rows of the table: names such as he_normal or expressions such as "
        "'uniform(-0.5, 0.5)'; torch is PyTorch's own default, glorot_then_he takes Glorot for "
        "the first layer and He for the others",
    )
    setting("seeds", "N", "runs of each initializer, from consecutive seeds")
    setting("first_seed", "SEED", "the first of the seeds, 0 to 2**64 - 1", flag="--seed")
    setting("train", "N", "training images")
    setting("test", "N", "test images")
    setting("epochs", "N", "passes over the training images")
    setting("batch_size", "N", "images in a training step")
    setting("lr", "RATE", "learning rate of Adam")
    setting("target_loss", "LOSS", "training loss of the steps-to-target column")
    setting(
        "data",
        "DATA",
        "mnist, digits, fashion, or the path of an .npz file that holds trainimages, trainlabels, "
        "testimages, testlabels or x_train, y_train, x_test, y_test",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="fanin-compare",
        help="folder for report.html and results.json; earlier ones in it are replaced",
    )
    parser.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from fanin.lab import compare
    from fanin.lab.files import check_folder

    options = {field.name: getattr(arguments, field.name) for field in fields(Settings)}
    check_folder(arguments.out)
    comparison = compare(**options, progress=True)
    console = Console()
    console.print(comparison.table())
    for path in comparison.save(arguments.out):
        console.print(f"wrote {path}", markup=False, highlight=False, soft_wrap=True)


COMMANDS: tuple[Callable[[Commands], None], ...] = (_add_compare, gain.add, init.add)
