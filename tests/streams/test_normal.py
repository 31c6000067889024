"""Float32 normals: accuracy, antisymmetry and order, word by word.

The words are chosen, so these are the reference's functions; that the back ends agree with
it on drawn words is tested beside.
"""

import mpmath
import numpy as np
import pytest
from scipy.special import ndtri

from fanin.streams._reference import _SINGLE

ALL_TOPS = 2**24


def normal(words: np.ndarray, std: float = 1.0, mean: float = 0.0) -> np.ndarray:
    return _SINGLE["normal"](words.astype(np.uint32), np.float32(std), np.float32(mean))


def random_words(n: int, seed: int) -> np.ndarray:
    """Words of every magnitude on both sides: tails, centre and all between."""
    rng = np.random.default_rng(seed)
    size = 2.0 ** rng.uniform(0, 31, n)
    folded = np.minimum(size.astype(np.uint64), 2**31 - 1).astype(np.uint32)
    folded[n // 2 :] = np.uint32(2**31 - 1) - folded[n // 2 :]
    return np.where(rng.random(n) < 0.5, folded, ~folded)


def relative_error(words: np.ndarray) -> np.ndarray:
    folded = np.minimum(words, ~words)
    exact = ndtri((folded.astype(np.float64) + 0.5) / 2.0**32)
    return np.abs(np.abs(normal(words)) / -exact - 1)


def test_error_of_random_words() -> None:
    assert relative_error(random_words(400_000, 1)).max() <= 3e-7


def test_error_of_the_outermost_and_the_innermost_words() -> None:
    edge = np.arange(20_000, dtype=np.uint32)
    assert relative_error(edge).max() <= 3e-7
    assert relative_error(np.uint32(2**31 - 1) - edge).max() <= 3e-7


def test_error_against_mpmath_in_every_octave() -> None:
    """SciPy's quantile is itself inexact; a few words of each octave are held against mpmath."""
    starts = [2**bit for bit in range(31)]
    words = np.array([0, *starts, *(3 * start // 2 for start in starts)], np.uint32)
    with mpmath.workdps(30):
        exact = [
            mpmath.sqrt(2) * mpmath.erfinv((2 * mpmath.mpf(int(word)) + 1) / 2**32 - 1)
            for word in words
        ]
    error = [abs(float(z / e - 1)) for z, e in zip(normal(words).astype(float), exact, strict=True)]
    assert max(error) <= 3e-7


def test_complemented_words_give_negated_values() -> None:
    words = random_words(200_000, 2)
    assert np.array_equal(normal(words), -normal(~words))
    assert np.array_equal(normal(words, std=0.3), -normal(~words, std=0.3))


def test_the_largest_value_is_below_6_4_and_no_value_is_zero() -> None:
    assert 6.2 < normal(np.array([2**32 - 1]))[0] < 6.4
    assert normal(np.array([0]))[0] == -normal(np.array([2**32 - 1]))[0]
    assert 0 < normal(np.array([2**31]))[0] < 2.0**-31


def in_order(first: int, last: int) -> bool:
    """Whether the values at the words k * 256, k from first to last, do not fall."""
    z = normal(np.arange(first, last, dtype=np.uint64) << np.uint64(8))
    return bool((np.diff(z) >= 0).all())


def test_values_do_not_fall_with_the_top_24_bits() -> None:
    """The edges of every octave, the centre, and ten chunks elsewhere; `slow` does them all."""
    octaves = [2**bit for bit in range(6, 24)]
    edges = [*octaves, *(ALL_TOPS - octave for octave in octaves), ALL_TOPS - 65]
    chunks = [(edge - 64, edge + 64) for edge in edges]
    starts = np.random.default_rng(3).integers(0, ALL_TOPS - 20_000, 10)
    chunks += [(int(start), int(start) + 20_000) for start in starts]
    assert all(in_order(*chunk) for chunk in chunks)


@pytest.mark.slow
def test_values_do_not_fall_over_all_top_24_bits() -> None:
    size = 2**18
    assert all(in_order(max(k - 1, 0), k + size) for k in range(0, ALL_TOPS, size))


def test_values_fall_by_two_units_at_most_between_neighbouring_words() -> None:
    rng = np.random.default_rng(4)
    for start in [0, 2**31 - 50_000, *rng.integers(0, 2**32 - 50_000, 6)]:
        z = normal(np.arange(int(start), int(start) + 50_000, dtype=np.uint64))
        assert (np.diff(z) >= -2 * np.spacing(np.abs(z[1:]))).all()


@pytest.mark.slow
def test_error_of_every_word_of_the_tail_side() -> None:
    """All 2**31 words would take an hour; every 97th of them takes half a minute."""
    for start in range(0, 2**31, 97 * 2**18):
        words = np.arange(start, min(start + 97 * 2**18, 2**31), 97, dtype=np.uint32)
        assert relative_error(words).max() <= 3e-7
