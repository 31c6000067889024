"""Fans: of torch's layouts, of any layout, of groups, and of what has none."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fanin import FaninError, Fans, fans

sizes = st.integers(1, 9)
stored = st.lists(st.tuples(st.sampled_from(["stack", "out", "in", "kernel"]), sizes), max_size=6)


@given(st.lists(sizes, min_size=2, max_size=5))
def test_torchs_layout_has_torchs_fans(shape: list[int]) -> None:
    weight = torch.empty(shape)
    assert fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(weight)


@given(stored.filter(lambda axes: any(role in ("in", "out") for role, _ in axes)), st.randoms())
def test_transposing_the_stored_axes_changes_no_fan(
    axes: list[tuple[str, int]], random: Any
) -> None:
    def of(order: list[tuple[str, int]]) -> Fans:
        return fans([size for _, size in order], " ".join(role for role, _ in order))

    shuffled = list(axes)
    random.shuffle(shuffled)
    assert of(shuffled) == of(axes)


@given(stored.filter(lambda axes: any(role in ("in", "out") for role, _ in axes)))
def test_fans_are_products_of_roles(axes: list[tuple[str, int]]) -> None:
    def product(*roles: str) -> int:
        return math.prod(size for role, size in axes if role in roles)

    shape, spelling = [size for _, size in axes], " ".join(role for role, _ in axes)
    assert fans(shape, spelling) == (product("in", "kernel"), product("out", "kernel"))


@given(sizes, sizes, sizes, sizes)
def test_a_grouped_convolution_is_that_many_convolutions(
    g: int, out: int, in_: int, k: int
) -> None:
    grouped = fans((g * out, in_, k, k), groups=g)
    assert grouped == fans((out, in_, k, k))


def test_a_table_looks_up_and_sums_nothing() -> None:
    assert fans((30_000, 512), "stack out") == Fans(1, 512)


def test_a_stack_of_layers_has_the_fans_of_one() -> None:
    assert fans((12, 8, 4), "layer out in") == fans((8, 4)) == Fans(fan_in=4, fan_out=8)


def test_an_empty_weight_has_a_fan_of_zero() -> None:
    assert fans((5, 0)) == (0, 5)


@pytest.mark.parametrize("shape", [(), 5, (5,)])
def test_fewer_than_two_axes_without_roles_have_no_fan_in(shape: Any) -> None:
    with pytest.raises(FaninError, match=r"shape \(5?,?\) has no fan-in: .*name its axes"):
        fans(shape)
    assert fans(5, "out") == Fans(1, 5)
    assert fans(5, "in") == Fans(5, 1)


def test_only_copies_have_no_fan_in() -> None:
    with pytest.raises(FaninError, match="Use constant"):
        fans((2, 3), "stack kernel")


@pytest.mark.parametrize("groups", [3, 9])
def test_groups_divide_the_outputs(groups: int) -> None:
    with pytest.raises(
        FaninError, match=rf"groups is {groups}; it must divide the 8 outputs of \(8, 4\)"
    ):
        fans((8, 4), groups=groups)


@pytest.mark.parametrize("groups", [0, -1, 2.0, "2", None])
def test_groups_are_an_integer(groups: Any) -> None:
    with pytest.raises(FaninError, match=f"groups is {groups!r}; it is an integer >= 1"):
        fans((8, 4), groups=groups)


def test_shapes_are_checked() -> None:
    with pytest.raises(FaninError, match="every size must be >= 0"):
        fans((3, -1))
