"""Twins: variables of this process that the same seed, name and shape made equal."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import ref

import keras

from fanin.axes import Axes
from fanin.frameworks._twins import DrawPlace, Twins
from fanin.frameworks.keras._slot import Slot
from fanin.frameworks.keras._values import pieces
from fanin.initializers import Initializer

_SOME = 64  # values that a back end without a count is asked for
Items = Iterable[tuple[Slot, Initializer | None, Axes | None]]


def twins(items: Items, seed: int) -> list[str]:
    """The variables whose draw another one has that lives, in a model that was not trained since.

    Less those that hold it already, as a copy does that is drawn again.
    """
    return _known.find(_places(items, seed))


def remember(items: Items, seed: int) -> None:
    """Note what was drawn into which variable."""
    _known.remember((place, place.origin) for place in _places(items, seed))


def _places(items: Items, seed: int) -> Iterator[DrawPlace]:
    """What is drawn whole, and so that the seed decides it."""
    for slot, initializer, _ in items:
        seeded = initializer is not None and initializer.seeded and not slot.is_sharded
        if seeded and slot.param.shape:
            name = slot.param.name
            yield DrawPlace((seed, slot.stream, slot.param.shape), name, slot.variable)


def _holds(variable: Any, other: Any) -> bool:
    pairs = zip(pieces(variable), pieces(other), strict=False)
    return all(mine.tobytes() == theirs.tobytes() for (_, mine), (_, theirs) in pairs)


def _watch_writes(variable: Any) -> Callable[[Any], bool]:
    """What tells later whether a variable was written.

    torch counts, JAX makes another array, and of others the first values are compared.
    """
    value = variable._value
    version = getattr(value, "_version", None)
    if version is not None:
        return lambda later: bool(later._value._version == version)
    if keras.config.backend() == "jax":
        known = ref(value)
        return lambda later: known() is later._value
    first = _some(variable)
    return lambda later: _some(later) == first


def _some(variable: Any) -> bytes:
    values = next(part for _, part in pieces(variable))
    return values.reshape(-1)[:_SOME].tobytes()


_known = Twins(_holds, _watch_writes)
