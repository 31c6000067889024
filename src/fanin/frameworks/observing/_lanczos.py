"""Lanczos: the largest eigenvalue of a symmetric matrix that is known by its products alone."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

_PRODUCTS = 20
_CLOSE = 0.01  # of the eigenvalue: where its error is below, no more products are taken

Vector = Any  # of any framework: it is added, and multiplied by numbers


def find_largest(
    product: Callable[[Vector], Vector], start: Vector, dot: Callable[[Vector, Vector], float]
) -> tuple[float, float] | None:
    """The largest eigenvalue, and how far from it one may be; None where numbers are not finite.

    Three vectors are kept: the copies of eigenvalues that rounding makes leave the largest one,
    and the bound on its error, as they are (Paige 1980). At most 20 products are taken.
    """
    last = start * (1 / math.sqrt(dot(start, start)))
    before, length = last * 0.0, 0.0
    diagonal, beside = list[float](), list[float]()
    found = 0.0, math.inf
    for _ in range(_PRODUCTS):
        made = product(last)
        diagonal.append(dot(made, last))
        made = made - last * diagonal[-1] - before * length
        length = math.sqrt(dot(made, made))
        if not math.isfinite(length):
            return None
        matrix = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        values, vectors = np.linalg.eigh(matrix)
        found = float(values[-1]), length * abs(float(vectors[-1, -1]))
        if found[1] <= _CLOSE * abs(found[0]) or length == 0:
            break
        beside.append(length)
        before, last = last, made * (1 / length)
    return found
