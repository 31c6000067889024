"""Truncated normals: inside their bounds, accurate, and the plain normal where nothing is cut."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from fanin import FaninError, Stream
from fanin.streams import TruncatedNormal
from fanin.streams._reference import _DOUBLE, _SINGLE

INF = math.inf
BOUNDS = [
    (-2.0, 2.0),
    (-0.3, 0.7),
    (-2.1, 2.1),
    (0.7, 0.8),
    (-1.0, INF),
    (-INF, 0.0),
    (0.0, INF),
    (0.5, 0.500001),
    (1e-3, 2e-3),
    (-1e-6, 1e-6),
    (2.0, 40.0),
    (6.0, 6.1),
    (10.0, 11.0),
    (12.5, INF),
    (-12.51, -12.5),
    (-INF, -12.5),
    (-1000.0, 1000.0),
]
EDGES = np.concatenate(
    [
        np.arange(2000, dtype=np.uint32),
        ~np.arange(2000, dtype=np.uint32),
        np.arange(2**31 - 2000, 2**31 + 2000, dtype=np.uint32),
        np.random.default_rng(10).integers(0, 2**32, 50_000, dtype=np.uint32),
    ]
)


def single(words: np.ndarray, cut: TruncatedNormal, clipped: bool = True) -> np.ndarray:
    constants = [np.float32(value) for value in cut.constants("float32")]
    if not clipped:
        constants[-2:] = [np.float32(-INF), np.float32(INF)]
    return _SINGLE["truncated_normal"](words, *constants)


def exact(words: np.ndarray, lower: float, upper: float) -> np.ndarray:
    """The quantile of the cut distribution in double, from the side of the nearer tail."""
    u = (words.astype(np.float64) + 0.5) / 2.0**32
    width = ndtr(-lower) - ndtr(-upper) if lower > 0 else ndtr(upper) - ndtr(lower)
    left = ndtr(lower) + u * width
    right = ndtr(-upper) + (1 - u) * width
    return np.where(left < right, ndtri(left), -ndtri(right))


@pytest.mark.parametrize(("lower", "upper"), BOUNDS)
def test_values_are_inside_their_bounds(lower: float, upper: float) -> None:
    z = single(EDGES, TruncatedNormal(0.0, 1.0, lower, upper)).astype(np.float64)
    assert z.min() >= lower
    assert z.max() <= upper


@given(st.floats(-10, 10), st.floats(1e-6, 1e6), st.floats(-12.5, 12.5), st.floats(1e-6, 30))
@example(0.0, 1.0, 0.7, 0.1)
@example(0.1, 1e-3, -2.0, 4.0)
def test_scaled_values_are_inside_their_bounds(
    mean: float, std: float, lower: float, span: float
) -> None:
    low, high = mean + std * lower, mean + std * (lower + span)
    cut = TruncatedNormal(mean, std, lower, lower + span)
    for dtype in ("float32", "float64"):
        try:
            drawn = Stream(1, "inside").draw(cut, 2000, dtype).astype(np.float64)
        except FaninError:  # there is no number of the dtype in the interval
            assume(False)
        assert drawn.min() >= low
        assert drawn.max() <= high


@pytest.mark.parametrize(("lower", "upper"), BOUNDS)
def test_the_bounds_move_a_value_by_four_units_at_most(lower: float, upper: float) -> None:
    cut = TruncatedNormal(0.0, 1.0, lower, upper)
    before, after = single(EDGES, cut, clipped=False), single(EDGES, cut)
    # Around zero a unit is that of the narrower side's coordinate, not of the value itself.
    unit = np.maximum(np.spacing(np.abs(after)), 2.0**-32)
    assert (np.abs(before.astype(np.float64) - after) <= 4 * unit).all()


@pytest.mark.parametrize(("lower", "upper"), BOUNDS)
def test_error_against_double_precision(lower: float, upper: float) -> None:
    """u is rounded once to float32's digits, on both sides; z feels that by p / density(z)."""
    z = single(EDGES, TruncatedNormal(0.0, 1.0, lower, upper)).astype(np.float64)
    truth = exact(EDGES, lower, upper)
    tail = ndtr(-np.abs(truth))
    density = np.exp(-(truth**2) / 2) / math.sqrt(2 * math.pi)
    slack = 4e-7 * np.abs(truth) + 3 * 2.0**-24 * tail / density + 4 * 2.0**-32
    assert (np.abs(z - truth) <= slack).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize(("lower", "upper"), [(-INF, INF), (-1000.0, 1000.0), (-INF, 40.0)])
def test_without_a_cut_it_is_the_normal_bit_for_bit(
    backend: str, dtype: str, lower: float, upper: float
) -> None:
    stream = Stream(11, "a")
    for mean, std in ((0.0, 1.0), (0.1, 0.02)):
        cut = stream.truncated_normal(3000, mean, std, lower, upper, dtype=dtype)
        assert cut.tobytes() == stream.normal(3000, mean, std, dtype=dtype).tobytes()


def test_a_wide_cut_does_not_reach_beyond_the_normal() -> None:
    """Rounding 1 - u to 1 or 0 would give 13 sigma draws here."""
    z = single(EDGES, TruncatedNormal(0.0, 1.0, -1000.0, 1000.0))
    assert 6.2 < np.abs(z).max() < 6.4


@pytest.mark.parametrize("bound", [1e-6, 0.3, 1.0, 2.0, 5.0, 12.5, 1000.0])
def test_symmetric_bounds_give_antisymmetric_values(bound: float) -> None:
    cut = TruncatedNormal(0.0, 0.7, -bound, bound)
    assert np.array_equal(single(EDGES, cut), -single(~EDGES, cut))
    constants = cut.constants("float64")
    double = _DOUBLE["truncated_normal"]
    low = EDGES[::-1].copy()
    assert np.array_equal(double(EDGES, low, *constants), -double(~EDGES, ~low, *constants))


@pytest.mark.parametrize(("lower", "upper"), [(0.2, 1.0), (-0.3, 2.0), (10.0, 11.0), (1.0, INF)])
def test_mirrored_bounds_give_mirrored_values(lower: float, upper: float) -> None:
    right = single(EDGES, TruncatedNormal(0.0, 1.0, lower, upper))
    left = single(~EDGES, TruncatedNormal(0.0, 1.0, -upper, -lower))
    assert np.array_equal(right, -left)


@pytest.mark.parametrize("mean", [0.0, 0.1, -3.7])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_zero_std_puts_every_value_on_the_mean(backend: str, dtype: str, mean: float) -> None:
    stream = Stream(0, "a")
    expected = stream.normal(5, mean, 0.0, dtype=dtype)
    assert np.abs(expected.astype(np.float64) - mean).max() < 0.02
    for lower, upper in ((-2.0, 2.0), (-INF, 1.0), (1.0, 2.0)):
        drawn = stream.truncated_normal(5, mean, 0.0, lower, upper, dtype=dtype)
        assert drawn.tobytes() == expected.tobytes()
