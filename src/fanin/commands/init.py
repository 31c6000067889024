"""`fanin init`: the initializers that there are, and a model's weights as a file."""

import argparse
from typing import Any

from fanin.commands import _weights
from fanin.commands._table import show_table
from fanin.errors import FaninError
from fanin.initializers._registry import ENTRIES


def add(commands: Any) -> None:
    """Add the parser of `fanin init`."""
    parser = commands.add_parser(
        "init",
        help="write a model's weights to a file, or list the initializers",
        description="Build a model, run it once without arithmetic on inputs of the shapes given, "
        "draw its weights and write them as they come, so that a tile is all that is held beside "
        "the model: one of PyTorch has no memory, nor one of JAX whose factory returns abstract "
        "arrays. The plan is shown on stderr; the digest of what was written is the same on every "
        "machine, however many files there are. Interrupted, it leaves no half-written file. "
        "With --list: print the catalogue of initializers: what the values are, "
        "which axes they read, what they preserve, and where they come from.",
    )
    _weights.add_flags(parser)
    parser.add_argument("--list", action="store_true", help="list all initializers")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if arguments.list and arguments.factory:
        raise FaninError("--list and a factory are both given; give one of them.")
    if arguments.factory:
        _weights.write_weights(arguments)
    elif arguments.list:
        _list()
    else:
        raise FaninError(
            "nothing to do: name a factory and a file, fanin init package.module:factory --out "
            "model.safetensors --input 3,224,224; 'fanin init --list' prints the catalogue."
        )


def _list() -> None:
    headers = ("initializer", "values", "reads", "preserves", "source")
    rows = [
        (row.name, row.values(), row.reads, row.preserves, row.source) for row in ENTRIES.values()
    ]
    show_table(headers, rows)
