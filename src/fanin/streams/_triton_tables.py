"""What the host and the kernels agree on: codes, the columns of a job, the coefficients."""

from functools import cache

import numpy as np
import numpy.typing as npt

from fanin.streams._quantile import LOWEST_EXPONENT, _table

JobTable = npt.NDArray[np.generic]

# A job is a row of a table of 64-bit integers in device memory.
(
    OUT,  # where the element with position 0 on every axis lies
    BASE,  # its address
    SEED,
    STREAM,
    LOW,  # the stream of the lower words of float64 draws
    KIND,
    ENCODING,
    WHOLE,  # so many groups, the first ones, have four elements each, side by side and aligned
    RUN,  # the length and the stride, in elements, of the axis along which addresses step by one
    RUN_STRIDE,
    GROUPS,  # how many threads' shares there are
    RANK,  # how many axes number them
    CONSTANTS,  # eight: the bits of a double, or of a float32
) = range(13)
# Then the axes, from the fastest in memory: count, step of the address, stride in elements, and
# the steps along the run (4 on the axis of the groups of a run, else 0).
AXES = CONSTANTS + 8
AXIS = 4

KINDS = {
    name: code
    for code, name in enumerate(("constant", "words", "uniform", "normal", "truncated_normal"))
}
ENCODINGS = {"float32": 0, "uint32": 0, "bfloat16": 1, "float16": 2, "float64": 3}

# One coefficient after the other, each for all rows: a warp then reads from one cache line, as
# nearly every value lies in the last 32 rows (float64: 16), which the padding lets begin one.
SINGLE_COLUMNS, SINGLE_TERMS = 160, 8
DOUBLE_COLUMNS, DOUBLE_TERMS = 368, 16
SINGLE_SHIFT = 9  # the column of row 0
DOUBLE_SHIFT = 2
# Added to the exponent of p (float64: and its mantissa's first bit), they give the column.
SINGLE_OFFSET = SINGLE_SHIFT - (127 + LOWEST_EXPONENT)
DOUBLE_OFFSET = DOUBLE_SHIFT - 2 * (1023 + LOWEST_EXPONENT)


@cache
def coefficients(precision: str) -> JobTable:
    """The table of the normal quantile, as the kernels read it: (terms * columns,)."""
    single = precision == "float32"
    rows = _table(f"normal_{precision}").astype(precision)
    columns, shift = (SINGLE_COLUMNS, SINGLE_SHIFT) if single else (DOUBLE_COLUMNS, DOUBLE_SHIFT)
    padded = np.zeros((rows.shape[1], columns), rows.dtype)
    padded[:, shift : shift + len(rows)] = rows.T
    return padded.ravel()
