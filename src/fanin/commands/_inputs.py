"""Inputs: what `fanin check` runs a model on, from the words of its command line."""

import re
from collections.abc import Sequence
from typing import Any

from fanin._imported import import_object
from fanin._samples import MOST, Form, Sample, draw
from fanin.errors import FaninError, one_line

_SHAPE = re.compile(r"(\d+(?:,\d+)*)(?::tokens=(\d+))?")


def add_input(group: Any) -> None:
    """Add --input, the shape of one input of the model."""
    group.add_argument(
        "--input",
        "--inputs",
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


def of_data(name: str, batch: int | None, seed: int) -> tuple[Sample, int]:
    """Inputs and labels of a data set of the lab, and the number of its classes."""
    from fanin.lab.data import samples
    from fanin.lab.data.sources import load

    data = load(name)
    return samples.examples(data, MOST if batch is None else batch, seed), data.classes


def are_called(words: Sequence[str]) -> bool:
    """Whether a function of the user makes the inputs, which may hold labels."""
    return len(words) == 1 and bool(re.fullmatch(r"[^\W\d][\w.]*:[\w.]+", words[0]))


def of_words(words: Sequence[str], batch: int | None, seed: int) -> Any:
    """A Sample of an input for each word, or what the function of a single word makes."""
    if are_called(words):
        return _call(words[0])
    forms = [_read(word) for word in words]
    if batch is not None and batch < 1:
        raise FaninError(f"batch is {batch}. Use a whole number of 1 or more.")
    return draw(forms, seed, batch)


def place(inputs: Any, model: Any) -> Any:
    """Inputs for a model: ours are brought into its type and to its device."""
    from fanin.frameworks import adapter_for

    return adapter_for(model).place(inputs.values, model) if isinstance(inputs, Sample) else inputs


def _read(word: str) -> Form:
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
    return Form(shape, tokens if found[2] else 0)


def _call(text: str) -> Any:
    function = import_object(text, "input")
    try:
        return function()
    except Exception as error:
        raise FaninError(
            f"input {text!r} failed: {one_line(error, named=True)}. It is called with no arguments "
            "and returns what the model is called with."
        ) from error
