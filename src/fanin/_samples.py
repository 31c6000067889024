"""Samples: batches of inputs by chance, from the seed's streams: the same on every machine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fanin.errors import FaninError
from fanin.streams import Array, Stream

FEWEST, MOST = 4, 256  # inputs of a batch
_NUMBERS = 1 << 20  # of a batch in all
_TOKEN = 64  # numbers that a token stands for


@dataclass(frozen=True)
class Form:
    """One input: its shape without the batch, and how many token ids there are.

    With 0 its numbers are Gaussian, of mean 0 and variance 1.
    """

    shape: tuple[int, ...]
    tokens: int = 0

    @property
    def numbers(self) -> int:
        """How large it is, in numbers."""
        return math.prod(self.shape) * (_TOKEN if self.tokens else 1)


@dataclass(frozen=True)
class Sample:
    """A batch as arrays, which an adapter brings into a model's type and place.

    `described` is what a report says of it. `chance` names what was drawn, "Gaussian" say, and
    is "" of data, which may have `targets`.
    """

    values: Array | tuple[Array, ...]
    described: str
    chance: str = ""
    targets: Array | None = None


def draw(forms: Sequence[Form], seed: int, batch: int | None = None) -> Sample:
    """A batch of inputs of these forms, each of its own seed from `seed` on; 4 to 256 of them.

    The number is such that there are about a million numbers; or it is `batch`.
    """
    count = batch
    if count is None:
        count = min(max(_NUMBERS // max(sum(form.numbers for form in forms), 1), FEWEST), MOST)
    shapes = [(count, *form.shape) for form in forms]
    values = tuple(
        _draw(shape, form.tokens, (seed + index) % 2**64)
        for index, (form, shape) in enumerate(zip(forms, shapes, strict=True))
    )
    kinds = [
        (f"token ids 0 to {form.tokens - 1}", "random token ids")
        if form.tokens
        else ("Gaussian, mean 0, variance 1", "Gaussian")
        for form in forms
    ]
    return Sample(
        values[0] if len(values) == 1 else values,
        "; ".join(f"{what}, {shape}" for (what, _), shape in zip(kinds, shapes, strict=True)),
        " and ".join(dict.fromkeys(chance for _, chance in kinds)),
    )


def _draw(shape: tuple[int, ...], tokens: int, seed: int) -> Array:
    try:
        return _tokens(shape, tokens, seed) if tokens else _gaussian(shape, seed)
    except MemoryError:
        raise FaninError(
            f"inputs of shape {shape} do not fit into memory; use a smaller batch."
        ) from None


def _gaussian(shape: tuple[int, ...], seed: int) -> Array:
    """Numbers of mean 0 and variance 1, float32."""
    return Stream(seed, "check/inputs").normal(shape)


def _tokens(shape: tuple[int, ...], count: int, seed: int) -> Array:
    """Whole numbers 0 .. count - 1, all equally likely, int64."""
    words = Stream(seed, "check/tokens").words(math.prod(shape)).astype(np.uint64)
    ids = (words * np.uint64(count)) >> np.uint64(32)
    return ids.astype(np.int64).reshape(shape)
