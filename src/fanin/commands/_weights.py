"""Weights: a file of a model's weights, drawn while it is written."""

import argparse
from pathlib import Path
from typing import Any

import fanin
from fanin.commands import _safetensors
from fanin.commands._factory import factory
from fanin.errors import FaninError
from fanin.streams import check_seed


def add_flags(parser: Any) -> None:
    """Add what `fanin init FACTORY` takes."""
    parser.add_argument(
        "factory",
        nargs="?",
        metavar="FACTORY",
        help="package.module:factory, a function without arguments or a class of model",
    )
    parser.add_argument("--out", metavar="FILE", help="the safetensors file to write")
    for flag, kind, default, text in (
        ("--seed", int, 0, "seed of the weights, 0 to 2**64 - 1 (default 0)"),
        ("--shards", int, 1, "files to share the weights out to, with an index (default 1)"),
        ("--recipe", str, "auto", "which rules choose the initializers (default auto)"),
        ("--initializer", str, None, "instead of a recipe, one initializer for all weights"),
        ("--unplaced", str, "error", "'keep' for what no rule places (default error)"),
    ):
        metavar = flag.removeprefix("--").upper()
        parser.add_argument(flag, type=kind, metavar=metavar, default=default, help=text)


def write_weights(arguments: argparse.Namespace) -> None:
    """Build the model empty, plan it, and write what the plan draws; nobody holds it whole."""
    from rich.console import Console

    from fanin.frameworks.torch import build_empty, slots, stored
    from fanin.lab.progress import progress

    if not arguments.out:
        raise FaninError("--out is missing; name the file to write, such as model.safetensors.")
    path, seed = Path(arguments.out), check_seed(arguments.seed)
    if not path.name or path.is_dir():
        raise FaninError(f"--out is {arguments.out!r}; name a file, such as model.safetensors.")
    model = build_empty(factory(arguments.factory))
    how = {"recipe": arguments.recipe, "unplaced": arguments.unplaced}
    plan = fanin.plan(model, initializer=arguments.initializer, **how)
    choices = {row.name: (row.initializer, row.axes) for row in plan.rows}
    places = {slot.param.name: slot for slot in slots(model)}
    entries, same = stored(model, places, choices, seed)
    # As the safetensors library notes tensors that it leaves out because they are another.
    metadata = {
        **same,
        "format": "pt",
        "fanin": fanin.__version__,
        "seed": str(seed),
        "stream": "1",
        "recipe": plan.recipe,
    }
    total = sum(entry.size for entry in entries)
    with progress(f"writing {path.name}", total) as advance:
        written = _safetensors.write(path, entries, metadata, arguments.shards, advance)
    for place in written:
        Console().print(f"wrote {place}", markup=False, highlight=False, soft_wrap=True)
