"""Twins: parameters of this process that the same seed, name and shape made equal."""

import torch
from torch import Tensor

from fanin.frameworks._twins import Twins
from fanin.frameworks.torch.write._shards import local_tensor
from fanin.frameworks.torch.write._slot import Slot


def _origin_of(slot: Slot) -> Tensor | None:
    return slot.tensor if slot.shard is None and slot.tensor.numel() else None


def _holds(tensor: Tensor, other: Tensor) -> bool:
    """Whether a tensor has the values of another one already, here: nothing is communicated."""
    tensor, other = local_tensor(tensor), local_tensor(other)
    alike = tensor.dtype == other.dtype and tensor.device == other.device and not tensor.is_meta
    return alike and tensor.shape == other.shape and torch.equal(tensor, other)


def _version(tensor: Tensor) -> int | None:
    """How often it was written."""
    return None if tensor.is_inference() else tensor._version


TWINS = Twins(_origin_of, _holds, _version)
