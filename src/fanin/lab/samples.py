"""Samples: a batch for a checkup, made by chance or taken from the lab's data."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fanin.errors import FaninError
from fanin.lab.dataset import Dataset, split
from fanin.streams import Stream


def gaussian(shape: tuple[int, ...], seed: int) -> Tensor:
    """Numbers of mean 0 and variance 1, float32; the same for the same seed."""
    return torch.from_numpy(np.asarray(Stream(seed, "check/inputs").normal(shape)))


def tokens(shape: tuple[int, ...], count: int, seed: int) -> Tensor:
    """Whole numbers 0 .. count - 1, all equally likely, int64; the same for the same seed."""
    words = Stream(seed, "check/tokens").words(math.prod(shape)).astype(np.uint64)
    ids = (words * np.uint64(count)) >> np.uint64(32)
    return torch.from_numpy(ids.astype(np.int64).reshape(shape))


def examples(data: Dataset, batch: int, seed: int) -> tuple[Tensor, Tensor]:
    """`batch` training inputs (batch, ...) that the seed chooses, and their labels."""
    own = len(data.labels) - data.own_test
    if not 1 <= batch <= own - (not data.own_test):
        raise FaninError(
            f"batch is {batch}; {data.name} has {own} {data.unit} to choose from. Use 1 or more, "
            "and not all of them."
        )
    chosen = split(data, batch, 1, 1, seed).order[0]
    found: Any = data.inputs[chosen], data.labels[chosen]
    return torch.from_numpy(found[0]), torch.from_numpy(found[1])


def typed(values: Any, model: nn.Module) -> Any:
    """A tensor, or a tuple of them, where it is, real numbers in the model's type."""
    if isinstance(values, tuple):
        return tuple(typed(one, model) for one in values)
    real = next((one for one in model.parameters() if one.is_floating_point()), None)
    return values if real is None or not values.is_floating_point() else values.to(real.dtype)


def placed(values: Any, model: nn.Module) -> Any:
    """A tensor, or a tuple of them, on the model's device; numbers that are real in its type."""
    if isinstance(values, tuple):
        return tuple(placed(one, model) for one in values)
    real = next((one for one in model.parameters() if one.is_floating_point()), None)
    if values is None or real is None:
        return values
    return values.to(real.device, real.dtype if values.is_floating_point() else None)
