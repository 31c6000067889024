"""Inputs: stored arrays read as images, tables or sequences of token ids."""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fanin.errors import FaninError

InputKind = Literal["images", "table", "tokens"]
NUMBERS = "buif"  # the kinds of NumPy type that inputs and labels may have
MOST_TOKENS = 2**20  # rows of an embedding


class InputData(NamedTuple):
    """All inputs in one array, what they are, what was done to them, and how many tokens there are.

    Images are float32 (n, channels, height, width), a table float32 (n, features), token ids int64
    (n, length), from 0 to `tokens` - 1.
    """

    kind: InputKind
    values: NDArray[Any]
    note: str
    tokens: int = 0


def read(name: str, parts: Sequence[NDArray[Any]], flat_images: bool = False) -> InputData:
    """Read parts of one data set, the training part first, by their shapes and types.

    With `flat_images` rows of h * h numbers are square images. Raises FaninError for arrays that
    are none of the kinds, and for parts that differ in kind or size.
    """
    for part in parts:
        _check(name, part)
    arrays = [_grey(part) if flat_images else part for part in parts]
    if len({array.shape[1:] for array in arrays}) > 1:
        shapes = " and ".join(str(part.shape) for part in parts)
        raise FaninError(
            f"{name}: training and test inputs differ in size, {shapes}. Store one size."
        )
    if arrays[0].ndim > 2:
        return _images(name, [_channels_first(array) for array in arrays])
    if all(array.dtype.kind in "ui" for array in arrays):
        return _tokens(name, np.concatenate(arrays))
    return _table(name, arrays)


def _check(name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind not in NUMBERS or array.ndim not in (2, 3, 4) or 0 in array.shape:
        raise FaninError(
            f"{name}: inputs have shape {array.shape} and type {array.dtype}. Use numbers: images "
            "(n, h, w), (n, c, h, w) or (n, h, w, c), a table of floats (n, features), or whole "
            "numbers (n, length) as token ids."
        )


def _grey(array: NDArray[Any]) -> NDArray[Any]:
    """Rows that are flat squares as images (n, h, h)."""
    side = math.isqrt(array.shape[1])
    return array.reshape(-1, side, side) if array.ndim == 2 and side**2 == array.shape[1] else array


def _channels_first(array: NDArray[Any]) -> NDArray[Any]:
    """(n, h, w), (n, c, h, w) or (n, h, w, c) to (n, c, h, w).

    The two that are equal are height and width; else the smaller of the outer two is channels.
    """
    if array.ndim == 3:
        return array[:, None]
    _, first, middle, last = array.shape
    is_last = first == middle if (first == middle) != (middle == last) else last < first
    return np.moveaxis(array, 3, 1) if is_last else array


def _images(name: str, arrays: Sequence[NDArray[Any]]) -> InputData:
    images, scaling = _scale(name, _finite(name, np.concatenate(arrays)))
    channels, height, width = images.shape[1:]
    size = "" if (channels, height, width) == (1, 28, 28) else f"{channels} x {height} x {width}"
    return InputData("images", images, "; ".join(filter(None, [size, scaling])))


def _finite(name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        values = np.ascontiguousarray(array, np.float32)
    wrong = int(values.size - np.isfinite(values).sum())
    if wrong:
        raise FaninError(
            f"{name}: inputs of shape {array.shape} hold {wrong} NaN or infinite values. Store "
            "finite numbers."
        )
    return values


def _scale(name: str, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Pixels to [0, 1]: by their values, not by their type, so that a float copy reads alike."""
    low, high = images.min(), images.max()
    if low >= 0 and high <= 1:
        return images, ""
    are_whole = bool((images == np.floor(images)).all())
    if are_whole and low >= 0 and high <= 255:
        return images / np.float32(255), "0..255 scaled to 0..1"
    if are_whole and high > 255:
        raise FaninError(
            f"{name}: images hold whole numbers from {low:.0f} to {high:.0f}. "
            "Store 0 to 255, or scale them to 0 to 1."
        )
    # Standardized by their owner, who knows better than we do.
    return images, f"values from {low:.3g} to {high:.3g} used as stored"


def _table(name: str, arrays: Sequence[NDArray[Any]]) -> InputData:
    """Columns to mean 0 and variance 1 over the training part; constant ones to 0."""
    train = _finite(name, arrays[0]).astype(np.float64)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    rows = _finite(name, np.concatenate(arrays)) - mean
    values = np.divide(rows, deviation, out=np.zeros_like(rows), where=deviation > 1e-7 * abs(mean))
    features = f"{values.shape[1]} feature{'s'[: values.shape[1] > 1]} to mean 0, variance 1"
    return InputData("table", _finite(name, values), features)


def _tokens(name: str, ids: NDArray[Any]) -> InputData:
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= MOST_TOKENS:
        raise FaninError(
            f"{name}: whole numbers {ids.shape} are token ids, here from {low} to {high}. Use 0 to "
            f"{MOST_TOKENS - 1}; store floats if this is a table of numbers."
        )
    note = f"sequences of {ids.shape[1]} token ids below {high + 1}"
    return InputData("tokens", ids.astype(np.int64), note, high + 1)
