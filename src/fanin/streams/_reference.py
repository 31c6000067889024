"""The reference back end: stream version 1 written out in NumPy.

It defines what the other back ends must give, bit for bit, and draws where there is no
compiled kernel. `fill` is the one call that every back end offers, and `fill_many` many of it.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin.streams._arithmetic import Float32, fma
from fanin.streams._output import encode
from fanin.streams._philox import Addresses, Words, words_at
from fanin.streams._quantile import Float64, quantile32, quantile64

_CHUNK = 1 << 16  # elements at a time: bounds the memory of the intermediate arrays
_FLIP = np.uint32(0xFFFFFFFF)
_HALF = np.uint32(2**31)


def fill(
    out: npt.NDArray[np.generic],
    encoding: str,
    base: int,
    steps: tuple[int, ...] | None,
    seed: int,
    streams: tuple[int, int],
    kind: str,
    constants: tuple[float, ...],
    threads: int,
) -> None:
    """Write the draws of `kind` into `out`; element (j0, j1, ...) has address base + j * steps,
    row-major where there are no steps.

    `encoding` says how a value is stored: uint32 (words), float32, float64, bfloat16 (in
    uint16) or float16 (in uint16). `streams` are the numbers of the stream and of its child
    `low`, which float64 draws take their lower words from. `threads` is ignored here.
    """
    if steps is not None:
        steps = tuple(step for step, size in zip(steps, out.shape, strict=True) if size != 1)
    out = np.squeeze(out)  # out.flat knows 32 axes at most
    for start in range(0, out.size, _CHUNK):
        flat = np.arange(start, min(start + _CHUNK, out.size))
        addresses = _addresses(flat.astype(np.uint64), out.shape, steps) + np.uint64(base)
        words = words_at(addresses, seed, streams[0])
        if encoding == "uint32":
            out.flat[flat] = words
        elif encoding == "float64":
            low = words_at(addresses, seed, streams[1])
            out.flat[flat] = _DOUBLE[kind](words, low, *(value + 0.0 for value in constants))
        else:
            values = _SINGLE[kind](words, *map(_float32, constants))
            out.flat[flat] = encode(values, encoding)


def fill_many(jobs: Iterable[Any], seed: int, threads: int, fresh: bool) -> None:
    """`fill` for each of some jobs: its arguments in order, less the seed and the threads.

    `fresh`: nobody has touched the memory yet; a back end may ask for it at once.
    """
    for out, encoding, base, steps, streams, kind, constants in jobs:
        fill(out, encoding, base, steps, seed, streams, kind, constants, threads)


def _float32(value: float) -> np.float32:
    return np.float32(value) + np.float32(0.0)  # no -0.0, to which a small number may round


def _addresses(flat: Addresses, shape: tuple[int, ...], steps: tuple[int, ...] | None) -> Addresses:
    """Addresses relative to the first of elements given by their row-major numbers."""
    if steps is None:
        return flat
    addresses = np.zeros_like(flat)
    for size, step in zip(reversed(shape), reversed(steps), strict=True):
        flat, position = np.divmod(flat, np.uint64(size))
        addresses += position * np.uint64(step % 2**64)
    return addresses


def _clip(
    values: npt.NDArray[Any], low: np.floating[Any] | float, high: np.floating[Any] | float
) -> npt.NDArray[Any]:
    # Not np.clip, which leaves open which of two zeros it returns.
    values = np.where(values > low, values, low)
    return np.where(values < high, values, high)


def _tail32(words: Words) -> Float32:
    """(u * 2**32) of the words, from zero: w + 1/2, rounded as float32(w) + 0.5."""
    return words.astype(np.float32) + np.float32(0.5)


def _centre32(words: Words) -> Float32:
    """(u - 1/2) * 2**32 of the words: folded before rounding, so exactly antisymmetric."""
    below = words < _HALF
    x = _tail32(np.where(below, _HALF - np.uint32(1) - words, words - _HALF))
    return np.where(below, -x, x)


def _uniform32(
    words: Words, half: np.float32, middle: np.float32, low: np.float32, high: np.float32
) -> Float32:
    k = (words >> np.uint32(8)).astype(np.int32)
    x = (2 * k + np.int32(1 - 2**24)).astype(np.float32) * np.float32(2.0**-24)  # exact
    return _clip(fma(x, half, middle), low, high)


def _normal32(words: Words, std: np.float32, mean: np.float32) -> Float32:
    z = quantile32(_tail32(np.minimum(words, words ^ _FLIP)), _centre32(words))
    return fma(z, std, mean)


def _truncated_normal32(
    words: Words,
    std: np.float32,
    mean: np.float32,
    width: np.float32,
    below: np.float32,
    above: np.float32,
    shift: np.float32,
    low: np.float32,
    high: np.float32,
) -> Float32:
    p = np.minimum(fma(_tail32(words), width, below), fma(_tail32(words ^ _FLIP), width, above))
    z = quantile32(p, fma(_centre32(words), width, shift))
    return _clip(fma(z, std, mean), low, high)


def _tail64(high: Words, low: Words) -> Float64:
    """(u * 2**64) of the double words, rounded once."""
    return high * 2.0**32 + (low + 0.5)


def _centre64(high: Words, low: Words) -> Float64:
    below = high < _HALF
    x = _tail64(
        np.where(below, _HALF - np.uint32(1) - high, high - _HALF),
        np.where(below, low ^ _FLIP, low),
    )
    return np.where(below, -x, x)


def _uniform64(
    high: Words, low: Words, half: float, middle: float, least: float, most: float
) -> Float64:
    k = high * 2.0**21 + (low >> np.uint32(11))  # the top 53 bits, exact
    x = ((2.0 * k - 2.0**53) + 1.0) * 2.0**-53  # exact
    return _clip(x * half + middle, least, most)


def _normal64(high: Words, low: Words, std: float, mean: float) -> Float64:
    below = high < _HALF
    p = _tail64(np.where(below, high, high ^ _FLIP), np.where(below, low, low ^ _FLIP))
    return quantile64(p, _centre64(high, low)) * std + mean


def _truncated_normal64(
    high: Words,
    low: Words,
    std: float,
    mean: float,
    width: float,
    below: float,
    above: float,
    shift: float,
    least: float,
    most: float,
) -> Float64:
    p = np.minimum(
        _tail64(high, low) * width + below, _tail64(high ^ _FLIP, low ^ _FLIP) * width + above
    )
    z = quantile64(p, _centre64(high, low) * width + shift)
    return _clip(z * std + mean, least, most)


_SINGLE: dict[str, Callable[..., Float32]] = {
    "uniform": _uniform32,
    "normal": _normal32,
    "truncated_normal": _truncated_normal32,
}
_DOUBLE: dict[str, Callable[..., Float64]] = {
    "uniform": _uniform64,
    "normal": _normal64,
    "truncated_normal": _truncated_normal64,
}
