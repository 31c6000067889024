"""Uniform draws are symmetric, equidistant, and inside their open interval."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fanin import FaninError, Stream
from fanin.streams import Uniform
from fanin.streams._reference import _DOUBLE, _SINGLE

ENDS = np.array([0, 2**32 - 1, 2**31 - 1, 2**31], np.uint32)


def single(words: np.ndarray, low: float, high: float) -> np.ndarray:
    constants = Uniform(low, high).constants("float32")
    return _SINGLE["uniform"](words, *map(np.float32, constants))


def double(words: np.ndarray, lower: np.ndarray, low: float, high: float) -> np.ndarray:
    return _DOUBLE["uniform"](words, lower, *Uniform(low, high).constants("float64"))


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_values_are_inside_the_open_interval(low: float, high: float) -> None:
    """The outermost words stand for all: values do not fall with the word."""
    assume(low < high)
    try:
        drawn = single(ENDS, low, high)
    except FaninError:
        assume(False)
    assert all(low < value < high for value in map(float, drawn))
    try:
        drawn = double(ENDS, ENDS, low, high)
    except FaninError:
        assume(False)
    assert all(low < value < high for value in map(float, drawn))


@given(st.floats(1e-30, 1e30), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=50))
def test_complemented_words_give_negated_values(limit: float, words: list[int]) -> None:
    some = np.array(words, np.uint32)
    assert np.array_equal(single(some, -limit, limit), -single(~some, -limit, limit))
    assert np.array_equal(double(some, some, -limit, limit), -double(~some, ~some, -limit, limit))


def test_float32_values_are_the_centres_of_two_to_the_24_equal_cells() -> None:
    tops = np.array([0, 1, 2, 2**23 - 1, 2**23, 2**24 - 1], np.uint64)
    exact = (2.0 * tops + 1 - 2.0**24) / 2.0**24
    for low_bits in (0, 255):
        words = (tops << np.uint64(8) | np.uint64(low_bits)).astype(np.uint32)
        assert single(words, -1.0, 1.0).astype(np.float64).tolist() == exact.tolist()


def test_float64_values_are_the_centres_of_two_to_the_53_equal_cells() -> None:
    tops = [0, 1, 2**52 - 1, 2**52, 2**53 - 1]
    words = np.array([top >> 21 for top in tops], np.uint32)
    lower = np.array([top % 2**21 << 11 for top in tops], np.uint32)
    exact = [(2 * top + 1 - 2**53) / 2**53 for top in tops]
    assert double(words, lower, -1.0, 1.0).tolist() == exact


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_values_may_round_onto_a_bound_but_never_over_it(dtype: str) -> None:
    drawn = Stream(0, "a").uniform(100_000, -1, 1, dtype=dtype).astype(np.float64)
    assert drawn.min() == -1.0
    assert drawn.max() == 1.0


def test_a_narrow_interval_far_from_zero_keeps_its_bounds(backend: str) -> None:
    drawn = Stream(0, "a").uniform(10_000, 1000.0, 1000.001)
    assert (drawn.astype(np.float64) > 1000.0).all()
    assert (drawn.astype(np.float64) < 1000.001).all()
    assert len(np.unique(drawn)) > 3


def test_the_default_is_the_open_unit_interval(backend: str) -> None:
    drawn = Stream(0, "a").uniform(100_000)
    assert drawn.min() > 0
    assert drawn.max() < 1
