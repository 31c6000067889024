"""Blocks: an initializer for each packed matrix; the forget gate of an LSTM."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fanin import FaninError, Stream
from fanin.axes import Axes
from fanin.initializers import (
    blocks,
    constant,
    forget_gate,
    he_normal,
    normal,
    orthogonal,
    uniform,
    zeros,
)

MIXED = blocks(he_normal(), zeros(), uniform(-0.1, 0.1), sizes=(3, 2, 7))
rows = st.one_of(
    st.integers(-12, 11),
    st.builds(
        slice, *[st.one_of(st.none(), st.integers(-14, 14))] * 2, st.sampled_from([1, 2, -1, -3])
    ),
)


def test_blocks_share_the_tensors_own_index() -> None:
    whole = MIXED((12, 5), seed=1, name="w")
    stream = Stream(1, "w")
    std = he_normal().std((3, 5))
    assert whole[:3].tobytes() == stream.normal((12, 5), std=std, index=slice(3)).tobytes()
    assert (whole[3:5] == 0).all()
    assert whole[5:].tobytes() == stream.uniform((12, 5), -0.1, 0.1, index=slice(5, 12)).tobytes()


@given(rows, st.integers(-5, 4))
def test_a_slice_is_the_slice_of_the_whole(first: Any, second: int) -> None:
    whole = MIXED((12, 5), seed=1, name="w")
    for index in (first, (first, second)):
        assert MIXED((12, 5), seed=1, name="w", index=index).tobytes() == whole[index].tobytes()


def test_blocks_lie_along_the_first_out_axis() -> None:
    stored = MIXED((12, 5), seed=1, name="w")
    keras = MIXED((5, 12), seed=1, name="w", axes="in out")
    assert np.array_equal(stored.T, keras)
    equal = blocks(zeros(), constant(1.0))((2, 3, 4), seed=1, name="w", axes="stack in out")
    assert np.array_equal(equal, np.broadcast_to([0, 0, 1, 1], (2, 3, 4)))


def test_std_counts_the_spread_of_the_blocks_means() -> None:
    made = blocks(normal(1.0, 0.5), normal(-1.0, 0.5))
    assert made.std((8, 3)) == pytest.approx(math.sqrt(1.25), rel=1e-12)


def test_the_axes_own_blocks_give_way() -> None:
    packed = Axes(("out", "in"), blocks=(6, 6))
    assert np.array_equal(
        MIXED((12, 5), seed=1, name="w", axes=packed), MIXED((12, 5), seed=1, name="w")
    )


@pytest.mark.parametrize("dtype", ["complex64", "bfloat16"])
def test_other_dtypes(dtype: str) -> None:
    made = blocks(he_normal(), zeros())
    values = made((4, 3), seed=1, name="w", dtype=dtype)
    assert values.dtype == dtype
    assert (values[2:] == 0).all()
    assert (values[:2] != 0).all()


def test_the_forget_gate_is_torchs_and_keras_second() -> None:
    """torch: an LSTM whose weights are zero keeps sigmoid(1) of its cell."""
    lstm = torch.nn.LSTM(2, 3)
    bias = forget_gate()((12,), seed=0, name="bias")
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.zero_()
        lstm.bias_ih_l0.copy_(torch.from_numpy(bias))
        _, (_, cell) = lstm(torch.zeros(1, 1, 2), (torch.zeros(1, 1, 3), torch.ones(1, 1, 3)))
    assert cell.flatten().tolist() == pytest.approx([1 / (1 + math.exp(-1))] * 3, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: blocks(), "blocks has no initializers; give one for each block"),
        (lambda: blocks("zeros"), "blocks has 'zeros'; it takes initializers that draw each"),
        (lambda: blocks(orthogonal()), r"blocks has orthogonal\(.*; it takes initializers that"),
        (lambda: blocks(constant([1, 2])), "it takes initializers that draw each value by itself"),
        (lambda: blocks(MIXED), "it takes initializers that draw each value by itself"),
        (lambda: blocks(zeros(), sizes=(1, 2)), r"sizes of blocks is \(1, 2\); give 1 integers"),
        (lambda: blocks(zeros(), sizes=(0,)), r"sizes of blocks is \(0,\); give 1 integers >= 1"),
        (lambda: blocks(zeros(), sizes=3), "sizes of blocks is 3; give 1 integers"),
        (lambda: forget_gate("a"), "value of constant is 'a'"),
        (lambda: forget_gate([1.0]), "blocks has constant"),
    ],
)
def test_wrong_blocks_are_refused(make: Any, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        make()


@pytest.mark.parametrize(
    ("made", "shape", "arguments", "message"),
    [
        (MIXED, (11, 5), {}, r"blocks of sizes \(3, 2, 7\).*axis 0 of shape \(11, 5\), 11. Give"),
        (forget_gate(), (10,), {}, r"has 4 equal blocks; they do not fill axis 0 .*\(10,\), 10"),
        (forget_gate(), (), {}, r"do not fill axis 0 of shape \(\)"),
        (MIXED, (12, 5), {"groups": 2}, "the weight of shape .* has 2 groups. Use one"),
        (blocks(zeros(), normal(std=1e5)), (4,), {"dtype": "float16"}, "range of float16"),
    ],
)
def test_weights_that_blocks_do_not_fit_are_refused(
    made: Any, shape: tuple[int, ...], arguments: dict[str, Any], message: str
) -> None:
    out = np.full(shape, 7, arguments.get("dtype", "float32"))
    with pytest.raises(FaninError, match=message):
        made(shape, seed=0, name="w", out=out, **arguments)
    assert (out == 7).all()


def test_a_distribution_is_asked_of_a_block() -> None:
    with pytest.raises(FaninError, match="has a distribution for each block; ask its initializers"):
        MIXED.distribution((12, 5))
