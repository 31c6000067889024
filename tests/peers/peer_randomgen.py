"""randomgen's Philox: one generator for each pair."""

import numpy as np
from randomgen import Philox


def words(counters: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The four words of each (counter, key): (n, 4) and (n, 2) uint32 to (n, 4) uint32."""
    table = np.empty(counters.shape, np.uint32)
    for row, counter, key in zip(table, counters, keys, strict=True):
        # It steps its counter, of 128 bits, before the first block.
        before = (int.from_bytes(counter.astype("<u4").tobytes(), "little") - 1) % 2**128
        both = int.from_bytes(key.astype("<u4").tobytes(), "little")
        row[:] = Philox(counter=before, key=both, number=4, width=32).random_raw(4)
    return table
