"""Triton's Philox in Triton's interpreter: a kernel on NumPy's memory, without torch.

TRITON_INTERPRET=1 must be in the environment before Triton is imported.
"""

import numpy as np
import triton
import triton.language as tl
from triton.language.random import philox_impl

BLOCK = 1 << 16


# Addresses come as integers, for the interpreter takes only torch's tensors for pointers.
@triton.jit
def _kernel(counters, keys, words, n, BLOCK: tl.constexpr):  # noqa: N803
    pair = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pair < n
    counter = counters.to(tl.pointer_type(tl.uint32)) + 4 * pair
    key = keys.to(tl.pointer_type(tl.uint32)) + 2 * pair
    word = words.to(tl.pointer_type(tl.uint32)) + 4 * pair
    w0, w1, w2, w3 = philox_impl(
        tl.load(counter, inside),
        tl.load(counter + 1, inside),
        tl.load(counter + 2, inside),
        tl.load(counter + 3, inside),
        tl.load(key, inside),
        tl.load(key + 1, inside),
        n_rounds=10,
    )
    tl.store(word, w0, inside)
    tl.store(word + 1, w1, inside)
    tl.store(word + 2, w2, inside)
    tl.store(word + 3, w3, inside)


def words(counters: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The four words of each (counter, key): (n, 4) and (n, 2) uint32 to (n, 4) uint32."""
    table = np.zeros(counters.shape, np.uint32)
    n = len(table)
    grid = (triton.cdiv(n, BLOCK),)
    _kernel[grid](counters.ctypes.data, keys.ctypes.data, table.ctypes.data, n, BLOCK=BLOCK)
    return table
