"""Twins: variables of this process that the same seed, name and shape made equal."""

from typing import Any, NamedTuple
from weakref import ref

import keras

from fanin.frameworks._twins import Twins
from fanin.frameworks.keras._slot import Slot
from fanin.frameworks.keras._values import pieces

_SOME = 64  # values that a back end without a count is asked for


def _origin_of(slot: Slot) -> Any:
    return slot.variable if slot.param.shape and not slot.is_sharded else None


def _holds(variable: Any, other: Any) -> bool:
    pairs = zip(pieces(variable), pieces(other), strict=False)
    return all(mine.tobytes() == theirs.tobytes() for (_, mine), (_, theirs) in pairs)


class _HeldArray(NamedTuple):
    """The array that a variable has: itself, whatever its values."""

    known: "ref[Any]"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _HeldArray) and self.known() is other.known()


def _state_of(variable: Any) -> Any:
    """What a write of a variable changes.

    torch counts, JAX makes another array, and of others the first values are compared.
    """
    value = variable._value
    version = getattr(value, "_version", None)
    if version is not None:
        return version
    return _HeldArray(ref(value)) if keras.config.backend() == "jax" else _some(variable)


def _some(variable: Any) -> bytes:
    values = next(part for _, part in pieces(variable))
    return values.reshape(-1)[:_SOME].tobytes()


TWINS = Twins(_origin_of, _holds, _state_of)
