"""Philox4x32-10 in NumPy: the definition of the words.

Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; ten rounds.
"""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]
Addresses = npt.NDArray[np.uint64]

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85
_MASK = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def philox4x32(counter: tuple[Addresses, ...], key: tuple[int, int]) -> tuple[Addresses, ...]:
    """Four words for each counter; all words are held in uint64, below 2**32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (
            (p1 >> _32) ^ c1 ^ np.uint64(k0),
            p1 & _MASK,
            (p0 >> _32) ^ c3 ^ np.uint64(k1),
            p0 & _MASK,
        )
        k0, k1 = (k0 + _KEY_STEPS[0]) % 2**32, (k1 + _KEY_STEPS[1]) % 2**32
    return c0, c1, c2, c3


def words_at(addresses: Addresses, seed: int, stream: int) -> Words:
    """The word at each address (flat uint64) of the stream with this 64-bit number."""
    block = addresses >> np.uint64(2)
    # Neighbours share a block of four words: compute each run of equal blocks once.
    first = np.ones(len(block), bool)
    first[1:] = block[1:] != block[:-1]
    block = block[first]
    high = np.full_like(block, stream % 2**32), np.full_like(block, stream >> 32)
    words = philox4x32((block & _MASK, block >> _32, *high), (seed % 2**32, seed >> 32))
    table = np.stack(words, axis=-1).astype(np.uint32)
    lane = (addresses & np.uint64(3)).astype(np.intp)
    chosen: Words = table[np.cumsum(first) - 1, lane]
    return chosen
