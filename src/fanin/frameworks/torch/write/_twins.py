"""Twins: parameters of this process that the same seed, name and shape made equal."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from fanin.axes import Axes
from fanin.frameworks._twins import DrawPlace, Twins
from fanin.frameworks.torch.write._shards import local_tensor
from fanin.frameworks.torch.write._slot import Slot
from fanin.initializers import Initializer

Items = Iterable[tuple[Slot, Initializer | None, Axes | None]]


def twins(items: Items, seed: int) -> list[str]:
    """The parameters whose draw another one has that lives, in a model that was not trained since.

    Less those that hold it already, as a copy does that is drawn again.
    """
    return _known.find(_places(items, seed))


def remember(items: Items, seed: int) -> None:
    """Note what was drawn into which tensor."""
    _known.remember((place, place.origin) for place in _places(items, seed))


def _places(items: Items, seed: int) -> Iterator[DrawPlace]:
    """What is drawn whole, and so that the seed decides it."""
    for slot, initializer, _ in items:
        seeded = initializer is not None and initializer.seeded and slot.shard is None
        if seeded and slot.tensor.numel():
            name = slot.param.name
            yield DrawPlace((seed, slot.stream, slot.param.shape), name, slot.tensor)


def _holds(tensor: Tensor, other: Tensor) -> bool:
    """Whether a tensor has the values of another one already, here: nothing is communicated."""
    tensor, other = local_tensor(tensor), local_tensor(other)
    alike = tensor.dtype == other.dtype and tensor.device == other.device and not tensor.is_meta
    return alike and tensor.shape == other.shape and torch.equal(tensor, other)


def _watch_writes(tensor: Tensor) -> Callable[[Tensor], bool]:
    """torch counts the writes."""
    version = _version(tensor)
    return lambda later: _version(later) == version


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


_known = Twins(_holds, _watch_writes)
