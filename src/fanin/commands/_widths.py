"""`fanin check --widths`: the coordinate check, whether sizes hold as a network gets wider."""

import argparse
from typing import Any

from fanin._imported import import_object, select_accepted
from fanin.commands import _inputs, _output
from fanin.commands._factory import factory, users_code
from fanin.errors import FaninError, quote

_STEPS = 5  # where --steps says nothing
_SEEDS = 3  # at each width, where --draws says no more
_OTHERS = ("data", "initializer", "select", "ignore", "baseline", "write_baseline", "mode")


def add(group: Any) -> None:
    """Add the flag of the coordinate check."""
    group.add_argument(
        "--widths",
        metavar="N,N",
        help="in place of the rules: build factory(width) at each of these, 64,128,256,512 say, "
        "train a few steps, and say whether activations and their changes keep their size. "
        "--recipe mup is relative to the first; -o FILE.svg draws it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Check, print the table, and draw it where a file is named."""
    widths = _read(arguments.widths)
    for name in _OTHERS:
        if getattr(arguments, name) is not None:
            raise FaninError(f"--widths and --{name.replace('_', '-')} are both given; use one.")
    if not arguments.factory or not arguments.input:
        raise FaninError("--widths needs a factory, package.module:factory, and --input 32, say.")
    if arguments.output is not None:
        _output.check_writable(arguments.output)
    from fanin.lab.widths import check_widths  # torch is loaded now

    with users_code():
        found = check_widths(
            *(_maker(arguments.factory), widths),
            _make_inputs(arguments, widths[0]),
            recipe=arguments.recipe,
            optimizer=arguments.optimizer or "adam",
            lr=arguments.lr,
            steps=_STEPS if arguments.steps is None else arguments.steps,
            seeds=arguments.draws if arguments.draws > 1 else _SEEDS,
        )
    _output.show(f"{found}\n")
    if arguments.output is not None:
        _output.write(found.plot(), arguments.output)
        _output.tell("check", f"wrote {arguments.output}: {found.verdict}")
    return int(not found.ok)


def _read(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise FaninError(f"widths is {quote(text)}; give integers with commas, 64,128,256 say.")
    return tuple(map(int, words))


def _maker(text: str) -> Any:
    if not select_accepted(import_object(text, "factory"), {"width": 1}):
        raise FaninError(
            f"factory {text!r} takes no width; --widths calls it as factory(width=64)."
        )
    return lambda width: factory(text, width=width)()


def _make_inputs(arguments: argparse.Namespace, width: int) -> Any:
    inputs = _inputs.of_words(arguments.input, arguments.batch, arguments.seed)
    return _inputs.place(inputs, _maker(arguments.factory)(width))
