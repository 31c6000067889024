"""Writing into a caller's array: any layout, nothing beside it, and untouched on failure."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from fanin import FaninError, Stream

DTYPES = {"float32": "f4", "float64": "f8", "float16": "f2", "bfloat16": ml_dtypes.bfloat16}
STREAM = Stream(0, "a")


@pytest.mark.parametrize("dtype", DTYPES)
def test_only_the_elements_of_a_view_are_written(backend: str, dtype: str) -> None:
    whole = np.full((9, 40, 11), 7, DTYPES[dtype])
    written = np.zeros(whole.shape, bool)
    where = (slice(1, -1), slice(-2, 3, -3), slice(2, 9, 2))
    written[where] = True
    view = whole[where].transpose(2, 0, 1)
    assert STREAM.normal(view.shape, out=view) is view
    assert np.array_equal(view, STREAM.normal(view.shape, dtype=dtype))
    assert (whole[~written] == 7).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_uint16_takes_the_bits_of_a_named_dtype(backend: str, dtype: str) -> None:
    bits = np.zeros((5, 7), np.uint16)
    STREAM.normal((5, 7), dtype=dtype, out=bits)
    assert bits.tobytes() == STREAM.normal((5, 7), dtype=dtype).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_dtype_of_out_is_that_of_the_draw(dtype: str) -> None:
    out = np.zeros(6, DTYPES[dtype])
    STREAM.uniform(6, out=out)
    assert out.tobytes() == STREAM.uniform(6, dtype=dtype).tobytes()


def test_bfloat16_is_the_type_of_ml_dtypes() -> None:
    assert STREAM.normal(3, dtype="bfloat16").dtype == ml_dtypes.bfloat16
    assert STREAM.normal(3, dtype=ml_dtypes.bfloat16).dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize("shape", [(0,), (0, 100), (100, 0), (3, 0, 5), ()])
def test_empty_and_single_element_arrays_are_taken(backend: str, shape: tuple[int, ...]) -> None:
    out = np.ones(shape, np.float32)
    assert STREAM.normal(shape, out=out) is out
    assert np.array_equal(out, STREAM.normal(shape))


def test_a_single_element_may_have_any_stride(backend: str) -> None:
    record = np.zeros(1, np.dtype({"names": ["b"], "formats": ["f4"], "itemsize": 6}))
    STREAM.normal(1, out=record["b"])
    assert record["b"][0] == STREAM.normal(1)[0]


def read_only() -> np.ndarray:
    array = np.ones(6, np.float32)
    array.flags.writeable = False
    return array


def unaligned() -> np.ndarray:
    return np.ones(25, np.int8)[1:].view(np.float32)


def overlapping() -> np.ndarray:
    return as_strided(np.ones(7, np.float32), (6,), (2,))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a list": (lambda: [1.0] * 6, "out is a list; it must be a NumPy array"),
    "another dtype": (lambda: np.ones(6, np.int32), "dtype is dtype..int32.*; allowed are float32"),
    "unnamed bits": (lambda: np.ones(6, np.uint16), "say which 16-bit float the uint16 buffer"),
    "another shape": (
        lambda: np.ones((2, 3), np.float32),
        r"out has shape \(2, 3\) and the draw has \(6,\); they must agree",
    ),
    "read-only": (read_only, r"out of shape \(6,\) is read-only; pass a writable array"),
    "unaligned": (unaligned, r"out of shape \(6,\) is unaligned or byte-swapped"),
    "byte-swapped": (
        lambda: np.ones(6, ">f4"),
        r"out of shape \(6,\) is unaligned or byte-swapped",
    ),
    "repeated": (
        lambda: as_strided(np.ones(1, np.float32), (6,), (0,)),
        r"out of shape \(6,\) has strides \(0,\), so that elements overlap in memory",
    ),
    "half overlapping": (overlapping, "unaligned|elements overlap in memory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_buffer_that_does_not_fit_is_refused_untouched(case: str) -> None:
    make, message = REFUSED[case]
    out = make()
    before = np.array(out).tobytes()
    with pytest.raises(FaninError, match=message):
        STREAM.normal(6, out=out)
    assert np.array(out).tobytes() == before


def test_overlapping_rows_are_refused() -> None:
    out = as_strided(np.ones(12, np.float32), (3, 6), (12, 4))
    with pytest.raises(FaninError, match="elements overlap in memory"):
        STREAM.normal((3, 6), out=out)
    assert (out == 1).all()


def test_out_of_another_dtype_than_asked_is_refused() -> None:
    out = np.ones(6, np.float32)
    with pytest.raises(
        FaninError, match=r"out holds float32 and the draw is float64; they must agree"
    ):
        STREAM.normal(6, dtype="float64", out=out)
    assert (out == 1).all()


@pytest.mark.parametrize(
    "arguments",
    [
        {"std": -1.0},
        {"std": float("nan")},
        {"mean": 1e39},
        {"threads": 0},
        {"index": slice(0, 5)},
        {"index": (0, 0)},
        {"dtype": "float64"},
        {"dtype": "int8"},
    ],
)
def test_out_is_untouched_by_bad_arguments(arguments: dict[str, Any]) -> None:
    out = np.ones(6, np.float32)
    with pytest.raises(FaninError):
        STREAM.normal(6, **arguments, out=out)
    assert (out == 1).all()
