"""Inputs: what `fanin check` runs a model on, from the words of its command line."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fanin._imported import imported
from fanin.errors import FaninError, one_line

_MOST, _FEWEST, _NUMBERS = 256, 4, 1 << 20  # of a batch: inputs, and numbers in all
_TOKEN = 64  # numbers that one stands for
_SHAPE = re.compile(r"(\d+(?:,\d+)*)(?::tokens=(\d+))?")


@dataclass(frozen=True)
class Inputs:
    """`values` as fanin.check takes them; `targets` are labels of `classes`, or None.

    `told` says what they are, for the conditions of the checkup: "" where the user made them.
    With a `shape` the check draws inputs of its own; `values` then serve for plans.
    """

    values: Any
    told: str = ""
    targets: Any = None
    classes: int = 0
    shape: tuple[int, ...] | None = None


def add_input(group: Any) -> None:
    """Add --input, the shape of one input of the model."""
    group.add_argument(
        "--input",
        "--shape",
        dest="input",
        action="append",
        metavar="INPUT",
        help="the shape of one input without the batch, such as 3,224,224: Gaussian numbers of "
        "variance 1; 128:tokens=32000: 128 token ids below 32000; or package.module:make_inputs. "
        "Again for each further argument of the model",
    )


def add_batch(group: Any) -> None:
    """Add --batch, how many inputs there are."""
    group.add_argument(
        "--batch",
        type=int,
        metavar="N",
        help="inputs in the batch (default: 4 to 256, for about a million numbers)",
    )


def of_data(name: str, batch: int | None, seed: int) -> Inputs:
    """Inputs and labels of a data set of the lab."""
    from fanin.lab import samples
    from fanin.lab.sources import load

    data = load(name)
    values, labels = samples.examples(data, _MOST if batch is None else batch, seed)
    return Inputs(values, f"{len(values)} {data.unit} of {data.name}", labels, data.classes)


def of_words(words: Sequence[str], batch: int | None, seed: int) -> Inputs:
    """Inputs by chance, one for each word, or those that the function of a single word makes."""
    if len(words) == 1 and re.fullmatch(r"[^\W\d][\w.]*:[\w.]+", words[0]):
        return Inputs(_called(words[0]))
    drawn = [_read(word) for word in words]
    if batch is None:
        numbers = sum(math.prod(shape) * (_TOKEN if tokens else 1) for shape, tokens in drawn)
        count = min(max(_NUMBERS // numbers, _FEWEST), _MOST)
    elif batch < 1:
        raise FaninError(f"batch is {batch}. Use a whole number of 1 or more.")
    else:
        count = batch
    made = [
        _drawn((count, *shape), tokens, (seed + index) % 2**64)
        for index, (shape, tokens) in enumerate(drawn)
    ]
    if len(made) > 1:
        return Inputs(tuple(value for value, _ in made), "; ".join(told for _, told in made))
    (value, told), (shape, tokens) = made[0], drawn[0]
    return Inputs(value, told, shape=None if batch is not None or tokens else shape)


def _read(word: str) -> tuple[tuple[int, ...], int]:
    """The shape of one input, and how many tokens there are; 0 for Gaussian numbers."""
    found = _SHAPE.fullmatch(word)
    if found is None:
        raise FaninError(
            f"input {word!r} is none of these: the shape of one input without the batch, such as "
            "3,224,224; a number of token ids, such as 128:tokens=32000; a function that makes "
            "all inputs, package.module:function, which stands alone."
        )
    shape = tuple(map(int, found[1].split(",")))
    if 0 in shape:
        raise FaninError(f"input {word!r} has an axis of length 0. Use 1 or more for each.")
    tokens = int(found[2] or 1)
    if not 1 <= tokens <= 2**31:
        raise FaninError(f"input {word!r} asks for {tokens} tokens. Use 1 to 2**31.")
    return shape, tokens if found[2] else 0


def _drawn(shape: tuple[int, ...], tokens: int, seed: int) -> tuple[Any, str]:
    """The tensor of a shape, the batch included, and what it is."""
    from fanin.lab import samples

    try:
        if tokens:
            return samples.tokens(shape, tokens, seed), f"token ids 0 to {tokens - 1}, {shape}"
        return samples.gaussian(shape, seed), f"Gaussian, mean 0, variance 1, {shape}"
    except MemoryError:
        raise FaninError(
            f"inputs of shape {shape} do not fit into memory; use a smaller --batch."
        ) from None


def _called(text: str) -> Any:
    function = imported(text, "input")
    try:
        return function()
    except Exception as error:
        raise FaninError(
            f"input {text!r} failed: {one_line(error, named=True)}. It is called with no arguments "
            "and returns what the model is called with."
        ) from error
