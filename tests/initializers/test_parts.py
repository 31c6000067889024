"""Weights in parts: packed blocks, and the groups of a transposed convolution."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin import FaninError, Stream
from fanin.axes import Axes
from fanin.initializers import glorot_normal, he_normal, normal
from fanin.initializers._parts import from_cells, to_cells

bounds = st.one_of(st.none(), st.integers(-14, 14))
slices = st.one_of(
    st.integers(0, 11),
    st.builds(
        slice, *[st.one_of(st.none(), st.integers(-14, 14))] * 2, st.sampled_from([1, 2, -1, -3])
    ),
)
TRANSPOSED = Axes(("in", "out", "kernel", "kernel"), groups=3, transposed=True, stride=2)
PACKED = Axes(("out", "in"), blocks=(6, 4, 2))


def test_a_grouped_transposed_convolution_is_read_group_out_in_kernel() -> None:
    weight = normal()((12, 5, 2, 2), seed=1, name="w", axes=TRANSPOSED)
    plain = Stream(1, "w").normal((3, 5, 4, 2, 2))  # group, out / g, in / g, kernel
    assert weight.tobytes() == plain.swapaxes(1, 2).reshape(12, 5, 2, 2).tobytes()


def test_its_fans_are_the_operations() -> None:
    assert he_normal().std((12, 5, 2, 2), TRANSPOSED) == math.sqrt(2 / 4)  # 12/3 inputs, 4/4 places


@given(slices, slices)
def test_a_slice_of_it_is_the_slice_of_the_whole(first: Any, second: Any) -> None:
    index = (first, second if isinstance(second, slice) else second % 5, ..., 1)
    whole = he_normal()((12, 5, 2, 2), seed=1, name="w", axes=TRANSPOSED)
    part = he_normal()((12, 5, 2, 2), seed=1, name="w", axes=TRANSPOSED, index=index)
    assert part.shape == whole[index].shape
    assert part.tobytes() == whole[index].tobytes()


@given(slices)
def test_blocks_share_the_tensors_index_and_have_fans_of_their_own(rows: Any) -> None:
    init = glorot_normal()
    whole = init((12, 8), seed=1, name="w", axes=PACKED)
    part = init((12, 8), seed=1, name="w", axes=PACKED, index=rows)
    assert part.tobytes() == whole[rows].tobytes()
    for low, high in ((0, 6), (6, 10), (10, 12)):
        std = init.std((high - low, 8))
        alone = Stream(1, "w").normal((12, 8), std=std, index=slice(low, high))
        assert whole[low:high].tobytes() == alone.tobytes()


def test_std_of_unequal_blocks_is_that_of_all_values() -> None:
    variances = [glorot_normal().std((rows, 8)) ** 2 for rows in PACKED.blocks]
    expected = math.sqrt(
        sum(rows * v for rows, v in zip(PACKED.blocks, variances, strict=True)) / 12
    )
    assert glorot_normal().std((12, 8), PACKED) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((12, 5, 2, 2), TRANSPOSED),
        ((12, 5, 3), Axes(("out", "in", "kernel"), groups=4)),
        ((3, 2, 5, 4), Axes(("kernel", "kernel", "in", "out"))),
        ((2, 4, 3), Axes(("stack", "in", "out"))),
    ],
)
def test_cells_and_back(shape: tuple[int, ...], axes: Axes) -> None:
    stored = np.arange(math.prod(shape)).reshape(shape)
    split = to_cells(stored, axes)
    assert split.size == stored.size
    assert np.array_equal(from_cells(split, shape, axes), stored)


def test_a_failed_draw_in_parts_writes_nothing() -> None:
    out = np.ones((12, 8), np.float16)
    with pytest.raises(FaninError, match="beyond the range of float16"):
        normal(std=1e5)((12, 8), seed=1, name="w", axes=PACKED, out=out)
    assert (out == 1).all()
