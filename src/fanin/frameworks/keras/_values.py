"""Values: what variables hold, and how they get other values, on every back end of Keras."""

import math
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from ml_dtypes import bfloat16

from fanin.frameworks._arrays import Source
from fanin.streams import Array


def as_array(value: Any) -> Array:
    """A tensor of the back end as a NumPy array, which may share its memory."""
    if keras.config.backend() != "torch":
        return np.asarray(keras.ops.convert_to_numpy(value))
    import torch

    held = value.detach().cpu()  # Keras's own way warns with NumPy 2
    if held.dtype != torch.bfloat16:
        return np.asarray(held.numpy())
    return np.asarray(held.contiguous().view(torch.int16).numpy()).view(bfloat16)


def pieces(variable: Any) -> Iterator[tuple[Any, Array]]:
    """What this process holds of a variable: every different part once, with its index."""
    if keras.config.backend() != "jax":
        yield (...,), as_array(variable.value)
        return
    from fanin.frameworks.jax.write._shards import parts

    yield from parts(variable.value)


def is_partial(variable: Any) -> bool:
    """Whether other processes hold a part of the variable."""
    return keras.config.backend() == "jax" and not variable.value.is_fully_addressable


def put(variable: Any, source: Source) -> None:
    """Draw the values into a variable: where a layout spreads it, each device its own part."""
    if keras.config.backend() != "jax":
        variable.assign(source((...,)))
        return
    from fanin.frameworks.jax.write._shards import make_array

    variable.assign(make_array(variable.value, source))


def constant_value(variable: Any) -> float | None:
    """The value of all elements; None where they differ, are not finite, or are elsewhere."""
    shape = tuple(variable.shape)
    if is_partial(variable) or not math.prod(shape):
        return None
    number = as_array(variable.value[(0,) * len(shape)] if shape else variable.value)
    if not math.isfinite(float(number)):
        return None
    if not all(bool((values == number).all()) for _, values in pieces(variable)):
        return None
    for digits in (6, 9):
        short = float(f"{float(number):.{digits}g}")
        if np.asarray(short).astype(number.dtype) == number:
            return short
    return float(number)
