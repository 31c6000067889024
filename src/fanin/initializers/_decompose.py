"""Decompose: singular vectors whose signs are decided, in float64."""

import numpy as np

from fanin.streams import Array


def decompose(matrix: Array) -> tuple[Array, Array, Array]:
    """U, s and V^T of U diag(s) V^T: the largest element of each left vector is positive.

    So a decomposition is the same everywhere, up to rounding, where no two singular values are
    equal.
    """
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    largest = np.abs(left).argmax(0)
    signs = np.where(left[largest, np.arange(left.shape[1])] < 0, -1.0, 1.0)
    return left * signs, values, (right.T * signs).T
