"""Exact: the numbers that programs mean, of which they keep 24 bits.

Weights are to be the same bits as those of a model of torch, whose numbers have 53: so 0.2 in
float32 is 0.2, and 0.70710677 the root of one half.
"""

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

_DIGITS = {"float32": 6, "float16": 3, "bfloat16": 2}  # of a number that somebody wrote
_LARGEST = 1 << 12  # denominators of squares


def restore(value: Any) -> Any:
    """A number of float32 or less as the one that was rounded to it; arrays as they are."""
    array = np.asarray(value)
    if array.ndim or str(array.dtype) not in _DIGITS:
        return array
    return np.asarray(_restore(float(array), array.dtype))


@lru_cache(maxsize=1 << 12)
def _restore(value: float, dtype: Any) -> float:
    if not math.isfinite(value):
        return value
    written = float(f"{value:.{_DIGITS[str(dtype)]}g}")
    square = Fraction(value * value).limit_denominator(_LARGEST)
    for exact in (written, math.copysign(math.sqrt(square), value)):
        if float(dtype.type(exact)) == value:
            return exact
    return value
