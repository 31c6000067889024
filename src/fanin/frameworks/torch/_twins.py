"""Twins: parameters of this process that the same seed, name and shape made equal."""

import gc
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple
from weakref import ref

import torch
from torch import Tensor

from fanin.axes import Axes
from fanin.frameworks.torch._slot import Slot
from fanin.initializers import Initializer

Key = tuple[int, str, tuple[int, ...]]  # seed, name of the stream, shape: all that decides a draw
Items = Iterable[tuple[Slot, Initializer | None, Axes | None]]


class _Drawn(NamedTuple):
    tensor: ref[Tensor]
    version: int | None  # torch's count of writes; training moves it on


# The latest tensor of each draw, for as long as it lives.
_latest: dict[Key, _Drawn] = {}


def twins(items: Items, seed: int) -> list[str]:
    """The parameters whose draw another one has that lives and was not written since.

    Less those that hold it already, as a copy does that is drawn again.
    """
    found = [pair for pair in _keyed(items, seed) if _has_twin(*pair)]
    if found:
        gc.collect(1)  # a model that is gone may still be in a cycle
    return [slot.param.name for key, slot in found if _has_twin(key, slot)]


def remember(items: Items, seed: int) -> None:
    """Note what was drawn into which tensor."""
    for key, slot in _keyed(items, seed):
        tensor = ref(slot.tensor, partial(_forget, key))
        _latest[key] = _Drawn(tensor, _version(slot.tensor))


def _keyed(items: Items, seed: int) -> Iterator[tuple[Key, Slot]]:
    """What is drawn whole, and so that the seed decides it."""
    for slot, initializer, _ in items:
        if initializer is not None and initializer.seeded and slot.shard is None:
            yield (seed, slot.stream, slot.param.shape), slot


def _has_twin(key: Key, slot: Slot) -> bool:
    known = _latest.get(key)
    other = None if known is None else known.tensor()
    if known is None or other is None or other is slot.tensor or not other.numel():
        return False
    return _version(other) == known.version and not _holds(slot.tensor, other)


def _holds(tensor: Tensor, other: Tensor) -> bool:
    """Whether a tensor has the values of another one already."""
    alike = tensor.dtype == other.dtype and tensor.device == other.device and not tensor.is_meta
    return alike and torch.equal(tensor, other)


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _forget(key: Key, gone: ref[Tensor]) -> None:
    known = _latest.get(key)
    if known is not None and known.tensor is gone:
        del _latest[key]
