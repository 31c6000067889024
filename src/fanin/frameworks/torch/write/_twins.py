"""Twins: parameters of this process that the same seed, name and shape made equal."""

import gc
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple
from weakref import ref

import torch
from torch import Tensor

from fanin.axes import Axes
from fanin.frameworks.torch.write._shards import local_tensor
from fanin.frameworks.torch.write._slot import Slot
from fanin.initializers import Initializer

# Seed, name of the stream, shape: all that decides a draw.
DrawKey = tuple[int, str, tuple[int, ...]]
Items = Iterable[tuple[Slot, Initializer | None, Axes | None]]


class _DrawnTogether(NamedTuple):
    """What one call drew: tensors, with torch's counts of the writes to each."""

    tensors: tuple[tuple[ref[Tensor], int | None], ...]

    def is_untouched(self) -> bool:
        """Whether none of those that live was written since: training would have."""
        living = ((tensor(), version) for tensor, version in self.tensors)
        return all(item is None or _version(item) == version for item, version in living)


class _Drawn(NamedTuple):
    tensor: ref[Tensor]
    group: _DrawnTogether


# The latest tensor of each draw, for as long as it lives.
_latest: dict[DrawKey, _Drawn] = {}


def twins(items: Items, seed: int) -> list[str]:
    """The parameters whose draw another one has that lives, in a model that was not trained since.

    Less those that hold it already, as a copy does that is drawn again.
    """
    found = [(key, slot) for key, slot in _key(items, seed) if _twin_of(key, slot)]
    if not found:
        return []
    gc.collect()  # a model that is gone may still be in a cycle
    # Looked up once: in another thread a model may go at any time.
    left = [(slot, twin.group) for key, slot in found if (twin := _twin_of(key, slot))]
    groups = {id(group): group for _, group in left}
    fresh = {number for number, group in groups.items() if group.is_untouched()}
    return [slot.param.name for slot, group in left if id(group) in fresh]


def remember(items: Items, seed: int) -> None:
    """Note what was drawn into which tensor."""
    drawn = [
        (key, slot.tensor, ref(slot.tensor, partial(_forget, key)))
        for key, slot in _key(items, seed)
    ]
    group = _DrawnTogether(tuple((known, _version(tensor)) for _, tensor, known in drawn))
    _latest.update((key, _Drawn(known, group)) for key, _, known in drawn)


def _key(items: Items, seed: int) -> Iterator[tuple[DrawKey, Slot]]:
    """What is drawn whole, and so that the seed decides it."""
    for slot, initializer, _ in items:
        if initializer is not None and initializer.seeded and slot.shard is None:
            yield (seed, slot.stream, slot.param.shape), slot


def _twin_of(key: DrawKey, slot: Slot) -> _Drawn | None:
    known = _latest.get(key)
    other = None if known is None else known.tensor()
    if other is None or other is slot.tensor or not other.numel():
        return None
    return None if _holds(slot.tensor, other) else known


def _holds(tensor: Tensor, other: Tensor) -> bool:
    """Whether a tensor has the values of another one already, here: nothing is communicated."""
    tensor, other = local_tensor(tensor), local_tensor(other)
    alike = tensor.dtype == other.dtype and tensor.device == other.device and not tensor.is_meta
    return alike and tensor.shape == other.shape and torch.equal(tensor, other)


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


def _forget(key: DrawKey, gone: ref[Tensor]) -> None:
    known = _latest.get(key)
    if known is not None and known.tensor is gone:
        _latest.pop(key, None)
