"""What a stream refuses, and how it says so."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fanin import FaninError, Stream
from fanin.streams import Constant, use_backend

STREAM = Stream(0, "a")
INF, NAN = math.inf, math.nan


@pytest.mark.parametrize("seed", [-1, 2**64, True, 1.5, "0", None, np.float64(1), np.int64(-1)])
def test_a_seed_is_an_integer_of_64_bits(seed: Any) -> None:
    with pytest.raises(FaninError, match=r"seed is .*; a seed is an integer in \[0, 2\*\*64\)\."):
        Stream(seed, "a")


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.uint64(2**64 - 1), np.int8(5)])
def test_numpy_integers_are_seeds(seed: Any) -> None:
    assert type(Stream(seed, "a").seed) is int


@pytest.mark.parametrize("name", ["", "a\0b", "\0", "\ud800", "a\udfff", b"a", 3, None])
def test_a_name_is_text_that_utf_8_can_encode(name: Any) -> None:
    with pytest.raises(FaninError, match="a name is a non-empty string without NUL or lone surr"):
        Stream(0, name)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_there_is_one_version(version: Any) -> None:
    with pytest.raises(FaninError, match=r"stream version is .*; this fanin knows version 1\."):
        Stream(0, "a", version)


Refused = tuple[Callable[[], Any], str]
DRAWS: dict[str, Refused] = {
    "dtype name": (
        lambda: STREAM.normal(3, dtype="f4"),
        "dtype is 'f4'; allowed are float32, float",
    ),
    "dtype": (lambda: STREAM.normal(3, dtype=np.int64), "dtype is .*int64.*; allowed are float32"),
    "no dtype": (lambda: STREAM.normal(3, dtype=object()), "; allowed are float32, float64"),
    "negative shape": (
        lambda: STREAM.normal((3, -1)),
        r"shape is \(3, -1\); every size must be >= 0",
    ),
    "float shape": (
        lambda: STREAM.normal((3, 1.5)),
        r"shape is \(3, 1.5\); a shape is an integer or",
    ),
    "no shape": (lambda: STREAM.normal(None), "shape is None; a shape is an integer or integers"),
    "huge shape": (
        lambda: STREAM.normal((2**31, 2**32), index=(0, 0)),
        r"has 9223372036854775808 elements; a tensor has fewer than 2\*\*63",
    ),
    "huge empty shape": (lambda: STREAM.normal((0, 2**63)), r"fewer than 2\*\*63"),
    "index outside": (
        lambda: STREAM.normal((2, 3), index=(0, 3)),
        r"index 3 is outside axis 1 of shape \(2, 3\)",
    ),
    "negative index outside": (
        lambda: STREAM.normal((2, 3), index=-3),
        "index -3 is outside axis 0",
    ),
    "too many indices": (
        lambda: STREAM.normal((2, 3), index=(0, 0, 0)),
        r"does not fit shape \(2, 3\): give at most 2 integers or slices and one '...'",
    ),
    "two dots": (lambda: STREAM.normal((2, 3), index=(..., ...)), r"and one '\.\.\.'"),
    "new axis": (
        lambda: STREAM.normal((2, 3), index=(None, 0)),
        "index None of axis 0 is not an integer or a slice",
    ),
    "boolean": (
        lambda: STREAM.normal(3, index=True),
        "masks and arrays of positions are not addre",
    ),
    "list": (
        lambda: STREAM.normal(3, index=[0, 1]),
        "masks and arrays of positions are not addresses",
    ),
    "array": (
        lambda: STREAM.normal(3, index=np.array([0, 1])),
        "arrays of positions are not addresses",
    ),
    "mask": (
        lambda: STREAM.normal(2, index=np.array([True, False])),
        "masks and arrays of positions",
    ),
    "float": (
        lambda: STREAM.normal(3, index=1.0),
        "index 1.0 of axis 0 is not an integer or a slice",
    ),
    "zero step": (lambda: STREAM.normal(3, index=slice(0, 3, 0)), "of axis 0 is not a slice"),
    "float slice": (lambda: STREAM.normal(3, index=slice(0.5)), "of axis 0 is not a slice"),
    "negative std": (lambda: STREAM.normal(3, 0, -1), "std of normal is -1.0; it must be >= 0"),
    "nan std": (
        lambda: STREAM.normal(3, 0, NAN),
        "std of normal is nan; it must be a finite number",
    ),
    "infinite mean": (
        lambda: STREAM.normal(3, INF),
        "mean of normal is inf; it must be a finite number",
    ),
    "truncated std": (
        lambda: STREAM.truncated_normal(3, 0, -1e-9),
        "std of truncated_normal is -1e-09; it must be >= 0",
    ),
    "bounds": (
        lambda: STREAM.truncated_normal(3, 0, 1, 2, 2),
        r"has lower=2.0, upper=2.0 \(in units of std around the mean\); lower must be < upper",
    ),
    "nan bound": (
        lambda: STREAM.truncated_normal(3, 0, 1, NAN, 2),
        "lower of truncated_normal is nan; it must be a finite number",
    ),
    "nan upper": (
        lambda: STREAM.truncated_normal(3, 0, 1, 0, NAN),
        "upper of truncated_normal is nan; it must be a finite number",
    ),
    "far bound": (
        lambda: STREAM.truncated_normal(3, 0, 1, 12.6, 20),
        "the nearer bound is 12.6 std from the mean; at most 12.5 is possible",
    ),
    "far upper bound": (
        lambda: STREAM.truncated_normal(3, 0, 1, -INF, -13),
        "the nearer bound is 13.0 std from the mean",
    ),
    "uniform": (
        lambda: STREAM.uniform(3, 1, 1),
        "uniform has low=1.0, high=1.0; low must be < high",
    ),
    "infinite uniform": (
        lambda: STREAM.uniform(3, 0, INF),
        "high of uniform is inf; it must be a finite number",
    ),
    "empty uniform": (
        lambda: STREAM.uniform(3, 1.0, 1.0 + 1e-9),
        "there is no float32; widen the interval",
    ),
    "empty truncated": (
        lambda: STREAM.truncated_normal(3, 0.1, 1e-12, 1, 2),
        "there is no float32; widen the interval",
    ),
    "float16 range": (
        lambda: STREAM.uniform(3, 0, 65600, dtype="float16"),
        r"reaches 6.56e\+04, beyond the range of float16",
    ),
    "float32 range": (lambda: STREAM.normal(3, 1e39), "beyond the range of float32"),
    "float32 mean": (
        lambda: STREAM.truncated_normal(3, -1e39, 2e38, 5, 5.1),
        "beyond the range of float32",
    ),
    "bfloat16 range": (
        lambda: STREAM.uniform(3, 0, 3.395e38, dtype="bfloat16"),
        "beyond the range of bfloat16",
    ),
    "float64 range": (
        lambda: STREAM.normal(3, 1e308, 1e308, dtype="float64"),
        "beyond the range of",
    ),
    "constant": (lambda: STREAM.draw(Constant(1e5), 3, "float16"), "beyond the range of float16"),
    "no threads": (lambda: STREAM.normal(3, threads=0), "threads is 0; give an integer >= 1"),
    "threads": (
        lambda: STREAM.normal(3, threads="many"),
        "threads is 'many'; give an integer >= 1",
    ),
    "half a thread": (
        lambda: STREAM.normal(3, threads=1.5),
        "threads is 1.5; give an integer >= 1",
    ),
    "negative words": (lambda: STREAM.words(-1), "-1"),
    "words before": (lambda: STREAM.words(1, -1), r"start is -1 .*addresses are in \[0, 2\*\*64\)"),
    "words beyond": (lambda: STREAM.words(2, 2**64 - 1), r"addresses are in \[0, 2\*\*64\)"),
    "words at a float": (lambda: STREAM.words(2, 1.5), "start is 1.5"),
    "words at text": (lambda: STREAM.words(2, "1"), "start is '1'"),
    "text": (lambda: STREAM.uniform(3, "a"), "low"),
    "nothing": (lambda: STREAM.normal(3, None), "mean"),
    "repeated axes": (
        lambda: STREAM.draw(Constant(1.0), (2, 3), order=(0, 0)),
        r"order is \(0, 0\)",
    ),
    "missing axes": (lambda: STREAM.draw(Constant(1.0), (2, 3), order=(0,)), r"order is \(0,\)"),
}


@pytest.mark.parametrize("case", DRAWS)
def test_a_draw_is_refused_in_words(case: str) -> None:
    call, message = DRAWS[case]
    with pytest.raises(FaninError, match=message):
        call()


def test_limits_themselves_are_fine() -> None:
    assert STREAM.uniform(3, -65504, 65504, dtype="float16").dtype == np.float16
    assert np.isfinite(STREAM.normal(1000, 0, 2e37)).all()
    assert np.isfinite(STREAM.truncated_normal(3, 0, 1, 12.5, INF)).all()
    assert STREAM.normal((2**31, 2**32 - 1), index=(0, 0)).shape == ()
    assert np.isfinite(STREAM.draw(Constant(65504.0), 3, "float16")).all()


def test_more_threads_than_any_machine_has_are_fine(backend: str) -> None:
    assert np.array_equal(STREAM.normal(300_000, threads=2**31), STREAM.normal(300_000))


def test_an_unknown_back_end_is_refused_and_the_old_one_stays() -> None:
    with use_backend("reference"):
        with (
            pytest.raises(FaninError, match=r"back end is 'avx9000'; this machine has .*reference"),
            use_backend("avx9000"),
        ):
            pass
        assert STREAM.normal(1).shape == (1,)
