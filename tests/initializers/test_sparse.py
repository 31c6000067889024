"""sparse: the right number of zeros in every column, at places that any slice agrees on."""

import math
import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fanin import FaninError, Stream
from fanin.axes import Axes
from fanin.initializers import _sparse
from fanin.initializers._parts import to_cells
from fanin.initializers._sparse import sparse
from fanin.streams._address import stream_number
from fanin.streams._philox import words_at

# The first values of sparse(0.6) of shape (600, 300), seed 0, name "w".
EXPECTED = [
    [0.0, -0.013757235370576382, 0.0012309374287724495, 0.004408111795783043],
    [0.0, 0.0, 0.0, 0.013175060041248798],
    [0.0, 0.004562804475426674, 0.0, 0.0],
]
LAYOUTS = [
    ((20, 7), None),
    ((20, 7, 3), None),
    ((3, 7, 20), Axes(("kernel", "in", "out"))),
    ((20, 7), Axes(("out", "in"), groups=4)),
    ((8, 5, 2), Axes(("in", "out", "kernel"), groups=4, transposed=True)),
    ((4, 20, 7), Axes(("stack", "out", "in"))),
]


def made(initializer: Any, shape: tuple[int, ...], **keywords: Any) -> Any:
    return initializer(shape, **({"seed": 0, "name": "w"} | keywords))


@pytest.mark.parametrize("sparsity", [0.0, 0.07, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("rows", [1, 3, 10, 100])
def test_columns_have_as_many_zeros_as_torchs(sparsity: float, rows: int) -> None:
    theirs = torch.nn.init.sparse_(torch.empty(rows, 5), sparsity).numpy()
    own = made(sparse(sparsity), (rows, 5))
    assert np.array_equal((own == 0).sum(0), (theirs == 0).sum(0))


@pytest.mark.parametrize(("shape", "axes"), LAYOUTS)
def test_zeros_are_the_smallest_words_of_a_column_and_the_others_are_normal(
    shape: tuple[int, ...], axes: Axes | None
) -> None:
    plain = axes or Axes(("out", "in", *("kernel",) * (len(shape) - 2)))
    values = to_cells(made(sparse(0.3, 0.5), shape, axes=axes), plain)
    addresses = np.arange(values.size, dtype=np.uint64)
    words = words_at(addresses, 0, stream_number("w", "zeros")).reshape(values.shape)
    zeros = math.ceil(0.3 * values.shape[2])
    places = np.argsort(words, axis=2)[:, :, :zeros]
    expected = Stream(0, "w").normal(values.shape, std=0.5)
    np.put_along_axis(expected, places, 0.0, axis=2)
    assert values.tobytes() == expected.tobytes()


def test_packed_blocks_have_columns_of_their_own() -> None:
    axes = Axes(("out", "in"), blocks=(8, 2))
    values = made(sparse(0.5), (10, 50), axes=axes)
    assert ((values[:8] == 0).sum(0) == 4).all()
    assert ((values[8:] == 0).sum(0) == 1).all()


def test_rows_of_equal_words_are_ranked_by_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sparse, "_words", lambda request: np.zeros(request.shape, np.uint32))
    values = made(sparse(0.4), (10, 3))
    assert (values[:4] == 0).all()
    assert (values[4:] != 0).all()


slices = st.builds(
    slice, *[st.one_of(st.none(), st.integers(-22, 22))] * 2, st.sampled_from([1, 2, -3])
)


@given(st.one_of(st.integers(0, 19), slices), slices)
def test_a_slice_is_the_slice_of_the_whole(first: Any, second: Any) -> None:
    whole = made(sparse(0.6), (20, 7))
    part = made(sparse(0.6), (20, 7), index=(first, second))
    assert part.tobytes() == whole[first, second].tobytes()


@pytest.mark.usefixtures("backend")
def test_every_back_end_and_thread_count_makes_the_same_bits() -> None:
    one = made(sparse(0.6), (600, 300), threads=1)
    assert one.tobytes() == made(sparse(0.6), (600, 300), threads=3).tobytes()
    assert one[:3, :4].tolist() == EXPECTED


def test_every_place_is_zero_as_often() -> None:
    """n = 20 000 columns of 10, 3 zeros each: chi-square of the rows' counts, whose covariance
    is that of draws without replacement; p > 1e-6: false alarms 1e-6."""
    zeros = (made(sparse(0.3), (10, 20_000)) == 0).sum(1)
    expected = 20_000 * 0.3
    statistic = ((zeros - expected) ** 2 / (expected * 0.7)).sum() * 9 / 10
    assert stats.chi2.sf(statistic, 9) > 1e-6


def test_the_places_and_the_values_are_independent() -> None:
    """n = 700 000 kept values: Kolmogorov-Smirnov, p > 1e-6: false alarms 1e-6."""
    values = made(sparse(0.3, 2.0), (100, 10_000))
    assert stats.kstest(values[values != 0], stats.norm(0, 2.0).cdf).pvalue > 1e-6


@pytest.mark.parametrize(("shape", "axes"), LAYOUTS)
def test_std_counts_the_zeros(shape: tuple[int, ...], axes: Axes | None) -> None:
    values = made(sparse(0.3, 2.0), shape, axes=axes)
    share = np.count_nonzero(values) / values.size
    assert sparse(0.3, 2.0).std(shape, axes) == pytest.approx(2 * math.sqrt(share), rel=1e-13)


def test_dtypes_and_out() -> None:
    single = made(sparse(0.5), (20, 7))
    for dtype in ("float16", ml_dtypes.bfloat16):
        assert np.array_equal(made(sparse(0.5), (20, 7), dtype=dtype), single.astype(dtype))
    double = made(sparse(0.5), (20, 7), dtype="float64")
    assert np.array_equal(double == 0, single == 0)
    assert np.allclose(double, single, rtol=1e-6)
    out = np.full((7, 20), 9, np.float32).T
    assert made(sparse(0.5), (20, 7), out=out) is out
    assert np.array_equal(out, single)
    assert made(sparse(0.5), (0, 3)).shape == (0, 3)
    assert sparse(0.5, 2.0).std((0, 3)) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-0.1,), "sparsity of sparse is -0.1; it is the fraction of zeros in a column, in [0, 1]"),
        ((1.5,), "sparsity of sparse is 1.5;"),
        ((math.nan,), "sparsity of sparse is nan;"),
        (("x",), "sparsity of sparse is 'x';"),
        ((0.5, 0.0), "std of sparse is 0.0; it must be a finite number > 0"),
        ((0.5, -1), "std of sparse is -1;"),
        ((0.5, math.inf), "std of sparse is inf;"),
    ],
)
def test_bad_arguments_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(FaninError, match=re.escape(message)):
        sparse(*arguments)


def test_bad_calls_are_refused_and_leave_out_untouched() -> None:
    message = r"shape \(7,\) has no `out` and no `in` axis, and sparse makes linear maps"
    with pytest.raises(FaninError, match=message):
        made(sparse(0.5), (7,))
    with pytest.raises(FaninError, match=message):
        sparse(0.5).std(7)
    out = np.ones((4, 2), np.float16)
    with pytest.raises(FaninError, match="beyond the range of float16"):
        made(sparse(0.5, 1e6), (4, 2), out=out)
    assert (out == 1).all()


def test_it_prints_as_what_makes_it() -> None:
    assert repr(sparse(0.5, std=2)) == "sparse(0.5, 2.0)"
    assert sparse(0.5) == sparse(0.5, 0.01) != sparse(0.5, 0.02)
