"""Numbers: the size of arrays of NumPy, and how their values lie."""

import math
from typing import Any

import numpy as np

from fanin.frameworks._observation import Look

Array = Any  # a NumPy array of real numbers

TINY = 1e-15  # RMS below it are computed again in double precision: their squares underflow
PAIRS = 256  # inputs whose cosines are taken: the mean over their pairs is sure enough
SAME = 1e-6  # of the largest value: what slices that are the same differ by in rounding
CLOSE = 1e-3  # inputs whose directions differ by less are looked at in double precision


def norm(values: Array) -> float:
    """The Euclidean norm of all values, summed in single precision where that holds it."""
    if not values.size:
        return 0.0
    flat = np.abs(values).reshape(-1) if np.iscomplexobj(values) else values.reshape(-1)
    wide = np.float64 if flat.dtype == np.float64 else np.float32
    with np.errstate(all="ignore"):
        found = float(np.linalg.norm(flat.astype(wide, copy=False)))
        if math.isnan(found) or TINY * math.sqrt(values.size) < found < math.inf:
            return found
        return float(np.linalg.norm(flat.astype(np.float64)))


def rms(values: Array) -> float:
    """The root mean square of all values."""
    return norm(values) / math.sqrt(values.size)


def look(values: Array) -> Look:
    """The mean of all values, and the mean cosine between the first dimension's slices."""
    with np.errstate(all="ignore"):
        count = min(len(values), PAIRS) if values.ndim > 1 else 0
        if np.iscomplexobj(values):
            values = np.stack([values.real, values.imag], -1)
        mean = float(values.mean(dtype=np.float32))
        if count < 2:
            return Look(mean, None)
        rows = values[:count].reshape(count, -1).astype(np.float32, copy=False)
        sizes = np.linalg.norm(rows, axis=1).astype(np.float64)
        some = sizes > 0
        count = int(some.sum())
        if count < 2 or not bool(np.isfinite(sizes).all()):
            return Look(mean, None)
        weights = np.where(some, 1 / np.where(some, sizes, 1.0), 0.0)
        together = (rows.T @ weights.astype(np.float32)).astype(np.float64)
        apart = 1 - float(np.square(together).sum()) / count**2
        if apart < CLOSE:  # the difference lost its digits
            units = rows[some].astype(np.float64) * weights[some, None]
            apart = float(np.square(units - units.mean(0)).sum()) / count
    return Look(mean, 1 - apart * count / (count - 1))


def silent(values: Array, axis: int) -> float:
    """The share of units, the places along `axis`, that are 0 everywhere else."""
    others = tuple(dim for dim in range(values.ndim) if dim != axis % values.ndim)
    peaks = values.max(others) if others else values
    return float((peaks <= 0).mean())


def share_outside(values: Array, low: float, high: float) -> float:
    """The share of values that are not between the two."""
    return float(((values <= low) | (values >= high)).mean())


def spread_before(weights: Array, axis: int) -> float:
    """The standard deviation of the logits of one softmax, over what it did not leave out.

    Of `weights`, its result: their logarithms are the logits, but for a number for each row.
    """
    values = weights.astype(np.float32, copy=False)
    kept = values > 0
    logs = np.log(np.where(kept, values, np.float32(1)))
    count = kept.sum(axis, keepdims=True)
    fewest = np.maximum(count, 1)
    apart = np.where(kept, logs - logs.sum(axis, keepdims=True) / fewest, 0.0)
    rows = count > 1
    if not bool(rows.any()):
        return 0.0
    each = np.square(apart).sum(axis, keepdims=True) / fewest
    return math.sqrt(max(float(each[rows].mean()), 0.0))
