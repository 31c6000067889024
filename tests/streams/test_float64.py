"""Float64 draws: accurate to a few units, antisymmetric, and in the float32 draw's cell."""

import hashlib

import mpmath
import numpy as np
from scipy.special import ndtri

from fanin import Stream
from fanin.streams._philox import words_at
from fanin.streams._reference import _DOUBLE

FULL = np.uint32(2**32 - 1)


def normal(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return _DOUBLE["normal"](high.astype(np.uint32), low.astype(np.uint32), 1.0, 0.0)


def exact(high: int, low: int) -> mpmath.mpf:
    """The quantile at (high * 2**32 + low + 1/2) / 2**64, to some 45 digits."""
    w = high << 32 | low
    tail = min(w, 2**64 - 1 - w)
    u = (mpmath.mpf(tail) + mpmath.mpf("0.5")) / 2**64
    if u > mpmath.mpf("0.499"):  # near zero ndtri(float(u)) has no digits
        z = mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * u)
    else:
        z = mpmath.mpf(-ndtri(float(u)))
        for _ in range(2):  # Halley
            error = mpmath.erfc(z / mpmath.sqrt(2)) / 2 - u
            step = error / mpmath.npdf(z)
            z += step / (1 - z * step / 2)
    return -z if w == tail else z


def double_words(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of words of every magnitude: the deepest tails, the centre, and all between."""
    rng = np.random.default_rng(5)
    size = [int(2.0 ** rng.uniform(0, 63)) for _ in range(n)]
    size[: n // 3] = [2**63 - 1 - min(one, 2**63 - 1) for one in size[: n // 3]]
    size[:4] = [0, 1, 2**63 - 1, 2**63 - 2]
    whole = [one if rng.random() < 0.5 else 2**64 - 1 - one for one in size]
    return np.array([one >> 32 for one in whole]), np.array([one % 2**32 for one in whole])


def test_error_against_mpmath() -> None:
    high, low = double_words(2000)
    drawn = normal(high, low)
    with mpmath.workdps(45):
        errors = [
            abs(mpmath.mpf(float(z)) / exact(int(h), int(w)) - 1)
            for z, h, w in zip(drawn, high, low, strict=True)
        ]
    assert float(max(errors)) <= 4e-16


def test_complemented_words_give_negated_values() -> None:
    high, low = (part.astype(np.uint32) for part in double_words(20_000))
    assert np.array_equal(normal(high, low), -normal(~high, ~low))


def test_the_largest_value_is_below_9_2() -> None:
    ends = np.array([0, FULL])
    low, high = normal(ends, ends)
    assert low == -high
    assert 9.0 < high < 9.2


def test_a_normal_lies_in_the_cell_of_the_float32_draw() -> None:
    """The cell of a word w is (w, w + 1) / 2**32; all float64 draws of that address are in it."""
    stream = Stream(6, "cell")
    words = stream.words(50_000)
    drawn = stream.normal(50_000, dtype="float64")
    low_side = words < 2**31
    folded = np.where(low_side, words, ~words).astype(np.float64)
    outer, inner = ndtri(folded / 2.0**32), ndtri((folded + 1) / 2.0**32)
    size = np.abs(drawn)
    assert (size <= -outer * (1 + 1e-14)).all()
    assert (size >= -inner * (1 - 1e-14)).all()
    assert np.array_equal(drawn < 0, low_side)


def test_a_uniform_lies_in_the_cell_of_the_word() -> None:
    stream = Stream(6, "cell")
    words = stream.words(50_000).astype(np.float64)
    drawn = stream.uniform(50_000, dtype="float64")
    assert (drawn > words / 2.0**32).all()
    assert (drawn < (words + 1) / 2.0**32).all()


def test_float32_and_float64_draws_agree_to_float32_precision() -> None:
    stream = Stream(7, "precision")
    single, double = stream.normal(50_000), stream.normal(50_000, dtype="float64")
    # Half a cell of u, 2**-33, moves z by 2**-33 / density.
    slack = 3e-7 * np.abs(double) + 2.0**-33 * np.sqrt(2 * np.pi) * np.exp(double**2 / 2)
    assert (np.abs(single - double) <= slack).all()


def test_lower_words_come_from_the_child_stream_low() -> None:
    digest = hashlib.blake2b(b"a\0low", digest_size=8, person=b"fanin-v1").digest()
    low = words_at(np.arange(1000, dtype=np.uint64), 8, int.from_bytes(digest, "little"))
    stream = Stream(8, "a")
    assert np.array_equal(stream.normal(1000, dtype="float64"), normal(stream.words(1000), low))
