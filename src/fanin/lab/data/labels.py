"""Labels: class numbers, or numbers to predict."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fanin.errors import FaninError
from fanin.lab.data.inputs import NUMBERS


def as_classes(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers (n,) or (n, 1), or one-hot rows (n, classes), to (n,)."""
    if array.dtype.kind in NUMBERS and np.isfinite(array).all():
        if array.ndim == 2 and array.shape[1] > 1:
            if np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all():
                return np.asarray(array.argmax(axis=1))
        elif array.ndim in (1, 2) and (array == np.floor(array)).all():
            return array.reshape(-1)
    raise FaninError(
        f"{name}: labels of type {array.dtype} and shape {array.shape} are not class numbers. "
        "Use whole numbers of shape (n,), or one-hot rows (n, classes); for numbers to predict, "
        "the task is regression."
    )


def as_numbers(name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers (n,) or (n, k), to (n, k)."""
    if array.dtype.kind not in NUMBERS or array.ndim not in (1, 2) or array.size == 0:
        raise FaninError(
            f"{name}: labels of type {array.dtype} and shape {array.shape} are not numbers to "
            "predict. Use numbers of shape (n,) or (n, k)."
        )
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise FaninError(f"{name}: labels hold NaN or infinite values. Store finite numbers.")
    return numbers.reshape(len(numbers), -1)


def standardize(name: str, labels: list[NDArray[np.float64]]) -> NDArray[np.float32]:
    """All labels, columns of which have mean 0 and variance 1 over the first part."""
    if len({part.shape[1] for part in labels}) > 1:
        raise FaninError(f"{name}: training and test labels differ in width. Store one width.")
    mean, deviation = labels[0].mean(axis=0), labels[0].std(axis=0)
    if not (deviation > 0).all():
        raise FaninError(f"{name}: a column of the labels is constant. Leave it out.")
    numbers = (np.concatenate(labels) - mean) / deviation
    return np.asarray(numbers, np.float32)
