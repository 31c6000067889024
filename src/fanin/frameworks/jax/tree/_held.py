"""Held: an array in a model, where it is, and what its module tells of it."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from fanin.axes import Axes
from fanin.param import Kind

Placed = tuple[Kind, Axes]


@dataclass(slots=True)
class Held:
    """An array of a model: its path in the model's own words, and its value, maybe abstract.

    `placed` is None where no module of a known class holds it; `made` is what every element of
    such modules starts with, None where they differ. `start` is the value of an untrained one,
    where its module says it, and `random` says that random numbers come from it. `noted` is the
    value that an abstract one is made with, where that follows from the program and not from
    chance. `fan_in` is what the module draws a bias by.
    """

    path: tuple[str, ...]
    value: Any
    trained: bool = True
    owner: str = ""
    placed: Placed | None = None
    gate: str = ""  # "forget" of a bias that is of that gate alone
    made: float | None = None
    aliases: tuple[tuple[str, ...], ...] = ()
    start: float | None = None
    random: bool = False
    noted: Any = None
    fan_in: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole array, on however many devices."""
        return tuple(self.value.shape)


def part_of(key: Any) -> str:
    """A key of a path as part of a name: an attribute, a position, or what a dict calls it."""
    for attribute in ("name", "idx", "key"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def is_abstract(value: Any) -> bool:
    """Whether there is a shape and a type, and no value."""
    return isinstance(value, jax.ShapeDtypeStruct)


def abstract(shape: tuple[int, ...], dtype: Any, sharding: Any = None) -> Any:
    """An array without values."""
    return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)  # type: ignore[no-untyped-call]


def is_array(value: Any) -> bool:
    """Whether it is an array of JAX or NumPy, abstract or not."""
    return isinstance(value, (jax.Array, np.ndarray, np.generic, jax.ShapeDtypeStruct))


def is_real(value: Any) -> bool:
    """Whether it is an array of real or complex numbers, as parameters are."""
    return is_array(value) and bool(jax.numpy.issubdtype(value.dtype, jax.numpy.inexact))


def constant_value(value: Any) -> float | None:
    """The value of all elements; None where they differ, are not finite, or have no memory."""
    whole = isinstance(value, (np.ndarray, np.generic)) or (
        isinstance(value, jax.Array) and value.is_fully_addressable
    )
    if not whole or not value.size or jax.numpy.iscomplexobj(value):
        return None
    plain = np.asarray(value)
    first = plain[(0,) * plain.ndim]
    # Most weights differ in their first two elements: then nothing else is read.
    if not math.isfinite(first):
        return None
    if plain.size > 1 and bool((plain[(0,) * (plain.ndim - 1)][:2] != first).any()):
        return None
    return _shortest(first) if bool((plain == first).all()) else None


def _shortest(number: Any) -> float:
    """The decimal number with the fewest digits that is this one in its dtype."""
    value = float(number)
    for digits in (6, 9):
        short = float(f"{value:.{digits}g}")
        if number.dtype.type(short) == number:
            return short
    return value
