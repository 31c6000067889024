"""The `fanin` command: a thin shell over the library.

A command is a function that adds its parser and names what it runs; list it in COMMANDS. It
imports what it needs when it runs, so that `fanin --help` needs NumPy alone.
"""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import fanin
from fanin.commands import _completion, check, compare, env, gain, init, plan, study, verify
from fanin.errors import FaninError

LAB_LIBRARIES = (
    "torch",
    "rich",
    "matplotlib",
    "jinja2",
    "joblib",
    "scipy",
    "sklearn",
    "mlxtend",
    "safetensors",
    "threadpoolctl",
)
_OF_THE_LAB = ("compare", "study")  # commands
# Of a disk, where what is printed goes to a file.
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_OF_MEMORY = (
    "can't start new thread",
    "failed to map segment",
    "Cannot allocate memory",
    "not enough memory",  # torch
)
Commands = Any  # argparse names the type of add_subparsers() only privately

_OWN, _LIBRARY = (f"{Path(file).parent}{os.sep}" for file in (fanin.__file__, argparse.__file__))
_INSTALLED = ("site-packages", "dist-packages")


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line as the library reports wrong input: in one line."""

    def error(self, message: str) -> NoReturn:
        raise FaninError(f"{message}. See {self.prog} --help.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status.

    That is its own or 0, 2 for bad input, 130 for Ctrl-C, 141 where nobody reads the output.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    if not all(isinstance(word, str) for word in words):
        raise TypeError("argv takes the words of a command line, each a str")
    parser = _parser()
    if not words:
        parser.print_help(sys.stderr)
        return 2
    try:
        status = _run(parser.parse_args(words))
        sys.stdout.flush()
    except FaninError as error:
        if "--traceback" in words:
            traceback.print_exception(error)
        return _fail(f"error: {error}{_users_line(error)}", 2)
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in LAB_LIBRARIES:
            raise
        extra = "torch" if library == "torch" and words[0] not in _OF_THE_LAB else "lab"
        return _fail(f"error: {library} is missing. Install it: pip install 'fanin[{extra}]'", 2)
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "interrupted", 130)
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            return _fail(f"error: the output cannot be written: {error.strerror}.", 2)
        if not _is_of_memory(error):
            raise
        told = "there is too little memory for this. Give the process more, or the work less"
        return _fail(f"error: {told}; no file was left half-written.", 2)
    return status or 0


def _run(arguments: argparse.Namespace) -> int | None:
    """Run its command; a script of the user that ends the process has not ended the command."""
    try:
        status: int | None = arguments.run(arguments)
    except SystemExit as stop:
        raise FaninError(
            f"nothing done: code of yours called sys.exit({stop.code!r}). Put what a script does "
            "under if __name__ == '__main__'."
        ) from stop
    return status


def _fail(message: str, status: int) -> int:
    # One line even where a file's name or content, quoted in the message, holds line breaks.
    print(" ".join(f"fanin: {message}".split()), file=sys.stderr)
    return status


def _is_of_memory(error: Exception) -> bool:
    """Whether memory was what there was too little of, as each library says it."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _OF_MEMORY)


def _users_line(error: BaseException) -> str:
    """Where the user's code raised what led to an error: the innermost line that is theirs."""
    cause = error.__cause__
    frames = traceback.extract_tb(cause.__traceback__) if cause is not None else ()
    for frame in reversed(frames):
        installed = any(part in frame.filename for part in _INSTALLED)
        own = frame.filename.startswith((_OWN, _LIBRARY, "<"))
        if not (installed or own):
            return f" Raised at {frame.filename}:{frame.lineno}; --traceback shows the way there."
    return ""


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fanin", description="Weight initialization for neural networks.")
    parser.add_argument("--version", action="version", version=f"fanin {fanin.__version__}")
    _completion.add(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    for command in commands.choices.values():
        command.add_argument(
            "--traceback",
            action="store_true",
            default=argparse.SUPPRESS,
            help="of an error, print the lines of code that led to it, too",
        )
    return parser


COMMANDS: tuple[Callable[[Commands], None], ...] = (
    check.add,
    compare.add,
    env.add,
    gain.add,
    init.add,
    plan.add,
    study.add,
    verify.add,
)
