"""The normal quantile from the octave tables: the definition of normal draws, in NumPy.

Both precisions are the same idea. p = u * 2**BITS is the tail probability on the nearer
side, x = (u - 1/2) * 2**BITS the signed distance from the centre, each with its own
rounding, so that neither the tails nor the values around zero lose digits. z = x * P(f),
with a row of coefficients for every octave of p (float64: half an octave).
tools/normal_tables.py makes the tables.
"""

import os
from functools import cache

import numpy as np
import numpy.typing as npt

from fanin.streams._arithmetic import Float32, fma

Float64 = npt.NDArray[np.float64]

LOWEST_EXPONENT = -120


@cache
def _table(name: str) -> Float64:
    """The coefficients of an .inc file, one row a line, lowest power first."""
    # Not importlib.resources, which takes longer to import than the rest of fanin.
    with open(os.path.join(os.path.dirname(__file__), f"{name}.inc"), encoding="utf-8") as file:
        rows = [line.rstrip(",\n").split(",") for line in file if not line.startswith("//")]
    return np.array([[float.fromhex(number) for number in row] for row in rows])


def quantile32(p: Float32, x: Float32) -> Float32:
    """z of the tail coordinate p in (0, 2**31] and the signed centre coordinate x, float32."""
    p = np.minimum(p, np.float32(2**31 - 128))  # the last float32 of the last octave
    bits = p.view(np.uint32)
    rows = _table("normal_float32").astype(np.float32)[
        (bits >> np.uint32(23)) - np.uint32(127 + LOWEST_EXPONENT)
    ]
    mantissa = ((bits & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(np.float32)
    f = mantissa - np.float32(1.5)
    value: Float32 = rows[:, -1]
    for power in reversed(range(rows.shape[1] - 1)):
        value = fma(value, f, rows[:, power])
    z: Float32 = x * value
    return z


def quantile64(p: Float64, x: Float64) -> Float64:
    """z of the tail coordinate p in (0, 2**63] and the signed centre coordinate x, float64.

    Without fma, which not every machine has for doubles. Even and odd powers apart halves the
    chain of operations that wait for each other; the leading term last keeps the others'
    rounding small beside it.
    """
    p = np.minimum(p, 2.0**63 - 2.0**10)
    bits = p.view(np.uint64)
    rows = _table("normal_float64")[
        (bits >> np.uint64(51)) - np.uint64((1023 + LOWEST_EXPONENT) * 2)
    ]
    exponent = np.uint64(0x3FF << 52)
    mantissa = ((bits & np.uint64(2**52 - 1)) | exponent).view(np.float64)
    middle = ((bits & np.uint64(1 << 51)) | np.uint64(1 << 50) | exponent).view(np.float64)
    f = mantissa - middle
    square = f * f
    odd, even = rows[:, -1], rows[:, -2]
    for power in range(rows.shape[1] - 3, 1, -2):
        odd = odd * square + rows[:, power]
        even = even * square + rows[:, power - 1]
    odd = odd * square + rows[:, 1]
    z: Float64 = x * ((even * f + odd) * f + rows[:, 0])
    return z
