"""`fanin verify`: whether files of weights hold what a plan draws, bit by bit."""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

import fanin
from fanin._arguments import check_seed
from fanin._columns import list_names
from fanin.commands import _output
from fanin.commands._digest import Digest
from fanin.commands._drawn import difference
from fanin.commands._tensors import Tensor, files_of, read
from fanin.errors import FaninError
from fanin.plans import Row

_SHOWN = 20  # differences


def add(commands: Any) -> None:
    """Add the parser of `fanin verify`."""
    parser = commands.add_parser(
        "verify",
        help="draw the weights of a file again, and compare them bit by bit",
        description="Draw every tensor of safetensors files again as a plan says, and compare: bit "
        "by bit, or within the tolerance that orthogonal weights promise. Nothing is held but a "
        "tile. Needs NumPy alone. Exit status: 0 all as drawn, 1 something differs, 2 wrong use.",
    )
    parser.add_argument("plan", metavar="PLAN", help="the plan, as fanin init --save-plan wrote it")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="safetensors files, an index (.index.json) of such, or a folder of them",
    )
    parser.add_argument(
        "--seed", type=int, metavar="SEED", help="seed of the weights (default: the plan's, or 0)"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    plan = fanin.Plan.load(arguments.plan)
    given = arguments.seed if arguments.seed is not None else plan.seed
    seed = check_seed(0 if given is None else given)
    files = [file for name in arguments.files for file in files_of(Path(name))]
    tensors = [tensor for file in files for tensor in read(file)]
    for name, count in Counter(tensor.name for tensor in tensors).items():
        if count > 1:
            raise FaninError(f"{name} is in {count} of the files; name each file once.")
    known = {name: row for row in plan.rows for name in (row.name, *row.aliases)}
    digest = Digest()
    differences, others = [], []
    for tensor in tensors:
        row = known.get(tensor.planned)
        told = _difference(tensor, row, plan.prefix, seed, digest)
        differences += [f"{tensor.name}: {told}"] if told else []
        others += [tensor.name] if row is None else []
    places = {known[item.planned].name: item.name for item in tensors if item.planned in known}
    differences += [
        f"{places[row.name]}: is no copy of {row.like}"
        for row in plan.rows
        if row.like in places and row.name in places
        if digest.values[places[row.name]] != digest.values[places[row.like]]
    ]
    differences += [f"{name}: in none of the files" for name in plan if name not in places]
    if others:
        _output.tell("verify", f"not in the plan, as buffers are not: {list_names(others)}")
    drawn = f"{len(plan)} parameters, seed {seed}"
    if not differences:
        _output.show(f"verified: {drawn}, all as the plan draws them\ndigest {digest}\n")
        return 0
    lines = differences[:_SHOWN]
    if len(differences) > _SHOWN:
        lines.append(f"and {len(differences) - _SHOWN} more")
    if not places:
        lines = [f"no name in common: the plan has {list_names([*plan])}. Is it this model's?"]
    title = f"NOT as the plan draws them: {len(differences)} of {drawn}"
    _output.show("\n".join([title, *(f"  {line}" for line in lines), f"digest {digest}", ""]))
    return 1


def _difference(tensor: Tensor, row: Row | None, prefix: str, seed: int, digest: Digest) -> str:
    pieces = digest.passing(tensor.name, tensor.code, tensor.shape, tensor.pieces())
    if row is None:
        for _ in pieces:  # its bytes count for the digest
            pass
        return ""
    stream = f"{prefix}.{row.name}" if prefix else row.name
    return difference(tensor, row.under(prefix), stream, seed, pieces)
