"""Twins: variables of this process that the same seed, name and shape made equal."""

import gc
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple
from weakref import ref

import keras

from fanin.axes import Axes
from fanin.frameworks.keras._slot import Slot
from fanin.frameworks.keras._values import pieces
from fanin.initializers import Initializer

_SOME = 64  # values that a back end without a count is asked for
# Seed, name of the stream, shape: all that decides a draw.
DrawKey = tuple[int, str, tuple[int, ...]]
Items = Iterable[tuple[Slot, Initializer | None, Axes | None]]


class _Drawn(NamedTuple):
    variable: "ref[Any]"
    unwritten: Callable[[Any], bool]  # whether the variable holds what was written
    group: list["_Drawn"]  # all that one call drew

    def is_untouched(self) -> bool:
        """Whether nothing of the call that still lives was written since: training would have."""
        living = ((item.variable(), item.unwritten) for item in self.group)
        return all(variable is None or unwritten(variable) for variable, unwritten in living)


# The latest variable of each draw, for as long as it lives.
_latest: dict[DrawKey, _Drawn] = {}


def twins(items: Items, seed: int) -> list[str]:
    """The variables whose draw another one has that lives, in a model that was not trained since.

    Less those that hold it already, as a copy does that is drawn again.
    """
    found = [(key, slot) for key, slot in _key(items, seed) if _twin_of(key, slot)]
    if not found:
        return []
    gc.collect()  # a model that is gone may still be in a cycle
    left = ((slot, _twin_of(key, slot)) for key, slot in found)
    return [slot.param.name for slot, twin in left if twin and twin.is_untouched()]


def remember(items: Items, seed: int) -> None:
    """Note what was drawn into which variable."""
    group: list[_Drawn] = []
    for key, slot in _key(items, seed):
        known = ref(slot.variable, partial(_forget, key))
        group.append(_Drawn(known, _watch_writes(slot.variable), group))
        _latest[key] = group[-1]


def _key(items: Items, seed: int) -> Iterator[tuple[DrawKey, Slot]]:
    """What is drawn whole, and so that the seed decides it."""
    for slot, initializer, _ in items:
        if initializer is not None and initializer.seeded and not slot.is_sharded:
            yield (seed, slot.stream, slot.param.shape), slot


def _twin_of(key: DrawKey, slot: Slot) -> _Drawn | None:
    known = _latest.get(key)
    other = None if known is None else known.variable()
    if other is None or other is slot.variable or not slot.param.shape:
        return None
    pairs = zip(pieces(slot.variable), pieces(other), strict=False)
    same = all(mine.tobytes() == theirs.tobytes() for (_, mine), (_, theirs) in pairs)
    return None if same else known


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


def _forget(key: DrawKey, gone: "ref[Any]") -> None:
    known = _latest.get(key)
    if known is not None and known.variable is gone:
        _latest.pop(key, None)
