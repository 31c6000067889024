"""Float operations that NumPy lacks, exact on every machine: fma, and rounding to bfloat16."""

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]


def fma(a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> Float32:
    """a * b + c of float32 values, rounded once.

    The product is exact in float64. The sum is rounded to odd there (the discarded part is
    kept in the last bit), so that rounding it again, to float32, cannot go wrong
    (Boldo & Melquiond 2008).
    """
    product = np.multiply(a, b, dtype=np.float64)
    addend = np.asarray(c, np.float64)
    total = np.atleast_1d(product + addend)
    part = total - product
    error = (product - (total - part)) + (addend - part)  # 2Sum: total + error is exact
    bits = total.view(np.int64)
    toward = np.where((error > 0) == (total > 0), 1, -1)
    bits += np.where((error != 0) & (bits % 2 == 0), toward, 0)
    return total.astype(np.float32).reshape(np.broadcast_shapes(product.shape, addend.shape))


def bfloat16_bits(values: Float32) -> npt.NDArray[np.uint16]:
    """The bits of the nearest bfloat16, ties to even; values are finite."""
    bits = values.view(np.uint32)
    half_way = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return ((bits + half_way) >> np.uint32(16)).astype(np.uint16)
