"""Weights: a file of a model's weights, drawn while it is written."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import fanin
from fanin._columns import list_names
from fanin.commands import _model, _output, _safetensors
from fanin.errors import FaninError, quote
from fanin.frameworks import Functional, Stored, adapter_for
from fanin.initializers import zeros
from fanin.plans import Row
from fanin.plans._matching import rehearse


def add_flags(parser: Any) -> None:
    """Add what `fanin init FACTORY` takes."""
    _model.add_flags(parser)
    group = parser.add_argument_group("plans, made before and after")
    group.add_argument(
        "--plan", metavar="FILE", help="draw this plan, and with its seed, instead of making one"
    )
    group.add_argument(
        "--save-plan", metavar="FILE", help="write the plan that was drawn, for fanin verify"
    )
    group = parser.add_argument_group("what is written")
    group.add_argument(
        "--out",
        metavar="FILE",
        help="the safetensors file to write, or a folder for model.safetensors; folders must exist",
    )
    group.add_argument(
        "--shards",
        type=int,
        default=1,
        metavar="N",
        help="files to share the weights out to, with an index (default 1)",
    )
    group.add_argument(
        "--quiet", action="store_true", help="print neither the plan nor progress on stderr"
    )


def write_weights(arguments: argparse.Namespace) -> None:
    """Build the model empty, plan it, and write what the plan draws; nobody holds it whole."""
    from fanin._progress import progress

    path = _destination(arguments.out)
    for place in (str(path), arguments.save_plan):
        if place is not None:
            _output.check_writable(place)
    if arguments.save_plan and _safetensors.is_weights(path, Path(arguments.save_plan)):
        raise FaninError(
            f"--save-plan is {quote(arguments.save_plan)}, a file of the weights; name another."
        )
    given = None
    if arguments.plan is not None:
        given = _model.load_plan(arguments.plan, arguments, "--plan", _model.RULES)
    named = _model.build(arguments, given)
    plan = _model.plan(arguments, named) if given is None else given
    seed = plan.seed or 0
    opened = named.opened
    # Of Flax Linen inputs tell what `init` gives to collections that no plan is about.
    if given is not None and named.inputs is not None and not isinstance(opened, Functional):
        raise FaninError("--plan and --input are both given; the plan says it all.")
    target = adapter_for(opened).target(opened, prefix=plan.prefix)
    if not target.slots:
        raise _model.without_parameters(arguments)
    rows = [row for _, row in rehearse(plan.rows, plan.library, target, seed)]
    if plan.library != target.library:  # the one that is saved says how this model stores weights
        plan = replace(plan, rows=tuple(rows), library=target.library)
    _refuse_parts(rows, target.library)
    copied = {row.name: row.like for row in rows if row.like is not None}
    choices = {
        row.name: (zeros() if row.name in copied else row.initializer, row.axes) for row in rows
    }
    entries, same = target.list_stored(choices, seed)
    sources = {entry.planned: entry.pieces for entry in entries}
    entries = [
        entry._replace(pieces=sources[copied[entry.planned]]) if entry.planned in copied else entry
        for entry in entries
    ]
    bar: AbstractContextManager[Callable[[int], object]] = nullcontext(lambda count: None)
    if not arguments.quiet:
        bar = progress(f"writing {path.name}", sum(entry.size for entry in entries))
    with bar as advance:
        metadata = same | _metadata(plan, seed, entries)
        written, digest = _safetensors.write(path, entries, metadata, arguments.shards, advance)
    for place in _safetensors.remove_others(path, written):
        _output.tell("init", f"removed {place}, of an earlier run")
    _tell(plan, arguments.quiet)
    if arguments.save_plan is not None:
        written.append(replace(plan, seed=seed).save(arguments.save_plan))
    for place in written:
        _output.show(f"wrote {place}\n")
    _output.show(f"digest {digest}\n")


def _refuse_parts(rows: Sequence[Row], library: str) -> None:
    """FaninError where a part of a parameter alone is drawn, and this library's are drawn whole."""
    parts = [row.name for row in rows if row.part is not None]
    if parts and library != "torch":
        raise FaninError(
            f"{list_names(parts)}: some rows alone are to be drawn, which fanin init writes of "
            "models of PyTorch. Initialize this one in Python with rows=, and save it."
        )


def _destination(out: str | None) -> Path:
    """The file to write, or the one that stands for its shards."""
    if not out:
        raise FaninError("--out is missing; name the file to write, such as model.safetensors.")
    path = Path(out)
    if _output.is_folder(path):
        return path / "model.safetensors"
    if path.suffix != ".safetensors" or out.endswith(("/", os.sep)):
        raise FaninError(
            f"--out is {quote(out)}, neither a folder that exists nor a name that ends in "
            ".safetensors, the one format that is written. Name it model.safetensors, say."
        )
    return path


def _tell(plan: fanin.Plan, quiet: bool) -> None:
    if not quiet:
        print(plan, file=sys.stderr)
        return
    for note in plan.notes:
        _output.tell("init", f"note: {note}")


def _metadata(plan: fanin.Plan, seed: int, entries: Sequence[Stored]) -> dict[str, str]:
    """What the file says of itself; format is as the safetensors library notes it."""
    library = "pt" if plan.library == "torch" else plan.library
    facts = {"format": library, "fanin": fanin.__version__, "seed": str(seed), "stream": "1"}
    facts["recipe"] = plan.recipe
    if plan.prefix:
        facts["prefix"] = plan.prefix
    names = {entry.name: entry.planned for entry in entries if entry.planned != entry.name}
    gates = {entry.name: entry.gates for entry in entries if entry.gates}
    for key, told in ((_safetensors.NAMES, names), (_safetensors.GATES, gates)):
        if told:
            facts[key] = json.dumps(told, ensure_ascii=False)
    return facts
