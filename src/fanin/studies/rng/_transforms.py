"""Uniform words to normal values, in NumPy: Box-Muller and inversion.

Box-Muller takes two words for two values, and inversion one for one. Both take the same words,
uint32, of which float32 uniforms keep the top 24 bits.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from fanin.streams._quantile import quantile32

Words = npt.NDArray[np.uint32]
HALF = np.uint32(2**31)


def uniforms(words: Words, dtype: Any) -> npt.NDArray[Any]:
    """Numbers in (0, 1]: in float32 1 - k / 2**24, as torch has them; in float64 of 32 bits."""
    if dtype == np.float32:
        return np.float32(1) - (words >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    return np.asarray((words + 0.5) * 2.0**-32)


def box_muller(uniform: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers of the first half with those of the second, (2 n,): cosines, then sines."""
    first, second = np.split(uniform, 2)
    radius = np.sqrt(-2 * np.log(first))
    angle = first.dtype.type(2 * np.pi) * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])


def inversion(words: Words) -> npt.NDArray[np.float32]:
    """The stream's normal values of these words, in float32 by its octave table."""
    tail = np.minimum(words, ~words).astype(np.float32) + np.float32(0.5)
    low = words < HALF
    centre = np.where(low, HALF - np.uint32(1) - words, words - HALF).astype(np.float32)
    centre += np.float32(0.5)
    return quantile32(tail, np.where(low, -centre, centre))


def quantiles(words: Words) -> npt.NDArray[np.float64]:
    """The normal quantiles of (word + 1/2) / 2**32, by SciPy, in float64."""
    found: npt.NDArray[np.float64] = special.ndtri(uniforms(words, np.float64))
    return found
