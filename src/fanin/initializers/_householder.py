"""Householder: a Gaussian matrix becomes a uniformly distributed orthonormal one, in place."""

import numpy as np

from fanin.streams import Array

_BLOCK = 96  # reflections that one product applies: more make T dear, fewer the products slow
_LEAF = 32  # np.linalg.inv is fast up to here
_TILE = 1 << 20  # values of a product that wait in the cache before they are subtracted


def orthonormalize(x: Array, gain: float) -> None:
    """Gaussian matrices (..., m, n), m >= n, become `gain` times ones with orthonormal columns.

    Uniform (Haar) on the Stiefel manifold. Stewart 1980: column k from its diagonal element
    down *is* the vector that the reflection H_k sends to a multiple of the unit vector e_k,
    and Q = H_1 ... H_n D, with D the signs of those multiples. What lies above the diagonal
    is never read. float32 or float64, overwritten; 2 n^2 (m - n/3) flops.
    """
    n = x.shape[-1]
    for first in reversed(range(0, n, _BLOCK)):
        _reflect(x[..., first:, first:], min(_BLOCK, n - first), gain)


def _reflect(x: Array, count: int, gain: float) -> None:
    """H_1 ... H_count (I - V T V^T in all) applied to D and the rest of Q, inside x.

    On entry the first `count` columns hold the Gaussian vectors, and the others, below row
    `count`, the rest of Q. T^-1 is the UT transform (Joffrain et al. 2006): V^T V above its
    diagonal, and half of the diagonal. It decides how orthonormal Q is, so all of size `count`
    is computed in float64.
    """
    tail, rest = x[..., count:, :count], x[..., count:, count:]
    wide = tail.astype(np.float64)
    gram = wide.mT @ wide
    head = np.tril(x[..., :count, :count]).astype(np.float64)
    squares = np.einsum("...ij,...ij->...j", head, head) + _diagonal(gram)
    signs = np.copysign(1.0, _diagonal(head))
    vector = head.copy()
    # Away from zero, so that nothing cancels; rounded, so that V is the same in both precisions.
    _diagonal(vector)[...] += signs * np.sqrt(squares)
    vector = vector.astype(x.dtype).astype(np.float64)
    inverse = np.triu(gram + vector.mT @ vector)
    _diagonal(inverse)[...] *= 0.5
    t = _inverse(inverse)

    weights = t.astype(x.dtype) @ (tail.mT @ rest)
    x[..., :count, count:] = -(vector.astype(x.dtype) @ weights)
    _subtract_product(rest, tail, weights)
    scale = -gain * signs
    own = t @ vector.mT * -scale[..., None, :]
    first = vector @ own
    _diagonal(first)[...] += scale
    x[..., :count, :count] = first
    tail[...] = tail @ own.astype(x.dtype)


def _diagonal(x: Array) -> Array:
    """The diagonals of matrices, writable."""
    view: Array = np.einsum("...ii->...i", x)
    return view


def _inverse(x: Array) -> Array:
    """The inverses of upper triangular matrices."""
    half = x.shape[-1] // 2
    if half <= _LEAF // 2:
        return np.linalg.inv(x)
    result = np.zeros_like(x)
    upper = result[..., :half, :half] = _inverse(x[..., :half, :half])
    lower = result[..., half:, half:] = _inverse(x[..., half:, half:])
    result[..., :half, half:] = -(upper @ x[..., :half, half:] @ lower)
    return result


def _subtract_product(x: Array, a: Array, b: Array) -> None:
    """x -= a @ b, some rows at a time."""
    if abs(x.strides[-1]) > abs(x.strides[-2]):  # stored by columns
        x, a, b = x.mT, b.mT, a.mT
    rows = max(1, _TILE * x.shape[-2] // max(x.size, 1))
    for first in range(0, x.shape[-2], rows):
        x[..., first : first + rows, :] -= a[..., first : first + rows, :] @ b
