"""The float operations of the contract are exact: fma rounds once, so do the 16-bit floats."""

import hashlib
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fanin import Stream
from fanin.streams import _reference
from fanin.streams._arithmetic import bfloat16_bits, fma
from fanin.streams._backends import current_fill
from fanin.streams._output import encode

SINGLE = st.floats(-(2.0**60), 2.0**60, width=32)
TINY = st.floats(-(2.0**-70), 2.0**-70, width=32)
SUBNORMAL = st.floats(-(2.0**-126), 2.0**-126, width=32)
MANTISSA = st.integers(2**23, 2**24 - 1)


def nearest_float32(exact: Fraction) -> np.float32:
    """The float32 nearest to a number in its range, ties to even, by comparing candidates."""
    guess = np.float32(float(exact))
    candidates = [
        np.nextafter(guess, np.float32(-np.inf)),
        guess,
        np.nextafter(guess, np.float32(np.inf)),
    ]
    return min(
        candidates,
        key=lambda one: (abs(Fraction(float(one)) - exact), int(one.view(np.uint32)) & 1),
    )


@settings(max_examples=400)
@given(SINGLE, SINGLE, SINGLE)
@example(4097.0, 4097.0, 2.0**-30)
def test_fma_rounds_once(a: float, b: float, c: float) -> None:
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assert float(fma(a, b, c)) == float(nearest_float32(exact))


@settings(max_examples=300)
@given(TINY, TINY, SUBNORMAL)
def test_fma_rounds_once_to_subnormals(a: float, b: float, c: float) -> None:
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    assert float(fma(a, b, c)) == float(nearest_float32(exact))


@settings(max_examples=300)
@given(MANTISSA, MANTISSA, st.integers(-3, 3))
def test_fma_rounds_once_where_the_sum_cancels(a: int, b: int, steps: int) -> None:
    c = -float(np.float32(a * b)) + steps * 2.0**23
    exact = Fraction(a * b) + Fraction(c)
    assert float(fma(a, b, c)) == float(nearest_float32(exact))


@settings(max_examples=300)
@given(st.integers(2**22, (2**25 - 4) // 6), st.integers(-149, -1), st.sampled_from([-1, 1]))
def test_fma_sees_what_lies_far_below_a_tie(half: int, exponent: int, sign: int) -> None:
    """An odd product of 25 bits is a tie; what breaks it is beyond the digits of a float64."""
    a, b, c = 2 * half + 1, 3, sign * 2.0**exponent
    assert (a * b).bit_length() == 25
    assert float(fma(a, b, c)) == float(nearest_float32(Fraction(a * b) + Fraction(c)))


def test_fma_broadcasts() -> None:
    assert fma(np.ones((2, 1), np.float32), np.ones(3, np.float32), 1.0).shape == (2, 3)
    assert fma(1.0, 2.0, 3.0).shape == ()


def drawn_uniform(encoding: str, address: int, constants: tuple[float, ...]) -> np.ndarray:
    """One uniform draw of Stream(0, "witness") with constants that no interval has."""
    digest = hashlib.blake2b(b"witness", digest_size=8, person=b"fanin-v1").digest()
    number = int.from_bytes(digest, "little")
    out = np.zeros(1, np.float32 if encoding == "float32" else np.uint16)
    fill = current_fill()
    fill(out, encoding, address, (1,), 0, (number, number), "uniform", constants, 1)
    return out


def test_fma_rounds_once_on_every_back_end(backend: str) -> None:
    """A word whose x is 4097 * 2**-24, scaled so that the draw is fma(4097, 4097, 2**-30)."""
    address = 17879798
    assert Stream(0, "witness").words(1, address)[0] >> 8 == 2**23 + 2048
    constants = (4097 * 2.0**24, 2.0**-30, -(2.0**30), 2.0**30)
    assert drawn_uniform("float32", address, constants)[0] == 16785410.0


def address_of_block(block: tuple[int, int, int, int], seed: int) -> tuple[int, int]:
    """The block's number and the stream's where Philox gives these four words."""
    c0, c1, c2, c3 = block
    for turn in reversed(range(10)):
        k0 = (seed + turn * 0x9E3779B9) % 2**32
        k1 = ((seed >> 32) + turn * 0xBB67AE85) % 2**32
        before2, before0 = c1 * pow(0xCD9E8D57, -1, 2**32), c3 * pow(0xD2511F53, -1, 2**32)
        before2, before0 = before2 % 2**32, before0 % 2**32
        before1 = c0 ^ (0xCD9E8D57 * before2 >> 32) ^ k0
        before3 = c2 ^ (0xD2511F53 * before0 >> 32) ^ k1
        c0, c1, c2, c3 = before0, before1, before2, before3
    return c0 | c1 << 32, c2 | c3 << 32


# Where a step of the polynomial lies half way between two floats, and rounding that up would change
# the value; of all places in octaves 2**23 and up of the normal draw's tail, these are all.
@pytest.mark.parametrize(("octave", "mantissa"), [(26, 880640), (28, 1358784), (28, 2715648)])
def test_every_back_end_rounds_ties_inside_the_polynomial_to_even(
    backend: str, octave: int, mantissa: int
) -> None:
    word = ~((2**23 + mantissa) << octave >> 23) % 2**32  # the tail counts down
    blocks = (address_of_block((word, 1, 2, rest), 7) for rest in range(1000))
    block, stream = next(found for found in blocks if found[0] < 2**62)
    expected, drawn = np.zeros(1, np.float32), np.zeros(1, np.float32)
    for fill, out in ((_reference.fill, expected), (current_fill(), drawn)):
        words = np.zeros(1, np.uint32)
        fill(words, "uint32", 4 * block, (1,), 7, (stream, stream), "words", (), 1)
        assert words[0] == word
        fill(out, "float32", 4 * block, (1,), 7, (stream, stream), "normal", (1.0, 0.0), 1)
    assert drawn.tobytes() == expected.tobytes()


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=64)
)
@example([1.00390625, 1.01171875, 9.183549615799121e-41, 1e-45, -1e-45, 3.3895313892515355e38])
def test_bfloat16_is_rounded_to_nearest_even(values: list[float]) -> None:
    single = np.array(values, np.float32)
    with np.errstate(over="ignore"):
        expected = single.astype(ml_dtypes.bfloat16).view(np.uint16)
    assert np.array_equal(bfloat16_bits(single), expected)


HALF_MIDDLES = [
    (float(a) + float(np.nextafter(a, np.float16(np.inf)))) / 2
    for a in np.array([0, 1, 2, 1022, 1023, 1024, 1025, 0x3BFF, 0x3C00, 0x7BFE], np.uint16).view(
        np.float16
    )
]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_back_end_rounds_16_bit_values_to_nearest_even(backend: str, dtype: str) -> None:
    """Ties and their neighbours, among subnormals and up to the largest number."""
    ties = np.array(HALF_MIDDLES, np.float32)
    around = [np.nextafter(ties, np.float32(-np.inf)), ties, np.nextafter(ties, np.float32(np.inf))]
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.float16
    for value in np.concatenate([*around, *(-part for part in around)]):
        single = float(value)
        drawn = drawn_uniform(dtype, 0, (0.0, single, single, single))
        assert drawn.tobytes() == value.astype(kind).tobytes(), value


@given(st.lists(st.floats(-65504, 65504, width=32), min_size=1, max_size=64))
def test_float16_is_rounded_once(values: list[float]) -> None:
    single = np.array(values, np.float32)
    expected = single.astype(np.float16).view(np.uint16)
    assert np.array_equal(encode(single, "float16"), expected)
