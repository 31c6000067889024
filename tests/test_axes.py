"""The axis grammar, and the canonical order that indices count in."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin import FaninError
from fanin.axes import ROLES, Axes, parse_axes
from fanin.initializers import constant, he_normal, normal

SHORTHANDS = {
    "oi": "out in",
    "io": "in out",
    "oiw": "out in kernel",
    "wio": "kernel in out",
    "oihw": "out in kernel kernel",
    "hwio": "kernel kernel in out",
    "oidhw": "out in kernel kernel kernel",
    "dhwio": "kernel kernel kernel in out",
}


def of(axes: str) -> Axes:
    return parse_axes(axes, (2,) * (len(axes) if axes in SHORTHANDS else len(axes.split())))


def canonical_order(axes: Axes) -> tuple[int, ...]:
    """The axes from slowest to fastest; `order()` is None where that is as stored."""
    order = axes.order()
    return tuple(range(len(axes.roles))) if order is None else tuple(order)


@pytest.mark.parametrize("letters", SHORTHANDS)
def test_a_shorthand_is_its_roles(letters: str) -> None:
    assert str(of(letters)) == SHORTHANDS[letters]
    assert of(letters) == of(SHORTHANDS[letters])


def test_names_of_kernel_and_stack_axes_are_roles() -> None:
    assert str(of("layer expert out in kd kh kw k")) == "stack stack out in" + 4 * " kernel"


def test_an_axis_may_have_a_name_of_its_own() -> None:
    assert of("out:head out:dim in").roles == ("out", "out", "in")


def test_the_default_is_torchs_layout() -> None:
    assert parse_axes(None, (4, 3, 2, 2)).roles == ("out", "in", "kernel", "kernel")
    assert parse_axes(None, (4, 3)).roles == ("out", "in")
    assert parse_axes(None, (4,)).roles == ("stack",)
    assert parse_axes(None, ()).roles == ()


@pytest.mark.parametrize(
    "axes", ["out inn", "OIHW", "out,in", "foo:bar in", "io out", "kh:x in", ":a in"]
)
def test_an_unclear_token_is_refused_with_the_known_ones(axes: str) -> None:
    with pytest.raises(FaninError, match=r"a token is one of stack, out, in, kernel, .*hwio"):
        parse_axes(axes, (2, 2))


@pytest.mark.parametrize("axes", ["out", "", "out in kh", "hwio", Axes(("out",))])
def test_as_many_roles_as_axes(axes: str | Axes) -> None:
    with pytest.raises(FaninError, match=r"axes '.*' names \d axes of shape \(2, 2\)"):
        parse_axes(axes, (2, 2))


def test_a_shape_that_is_none_is_refused() -> None:
    class Odd:  # no sequence, with a length that none has
        def __len__(self) -> int:
            return -1

    with pytest.raises(TypeError):
        Axes(("out",)).size("out", Odd())  # type: ignore[arg-type]


@pytest.mark.parametrize("axes", [["out", "in"], 3, ("out", "in")])
def test_what_is_no_spelling_is_refused(axes: object) -> None:
    with pytest.raises(FaninError, match="axes"):
        parse_axes(axes, (2, 2))


def test_a_role_that_does_not_exist_cannot_be_made() -> None:
    with pytest.raises(FaninError, match="foo"):
        Axes(("foo",))


@given(st.lists(st.sampled_from(ROLES), max_size=6))
def test_order_groups_the_roles_and_keeps_stored_order_within(roles: list[str]) -> None:
    order = canonical_order(Axes(tuple(roles)))
    assert sorted(order) == list(range(len(roles)))
    sorted_roles = [roles[axis] for axis in order]
    assert sorted_roles == sorted(roles, key=["stack", "out", "in", "kernel"].index)
    for role in ROLES:
        own = [axis for axis in order if roles[axis] == role]
        assert own == sorted(own)


def test_torch_and_keras_kernels_get_the_same_values_transposed() -> None:
    torch = he_normal()((16, 8, 5, 3), seed=0, name="conv.weight")
    keras = he_normal()((5, 3, 8, 16), seed=0, name="conv.weight", axes="hwio")
    assert np.array_equal(torch.transpose(2, 3, 1, 0), keras)
    dense = he_normal()((16, 8), seed=0, name="fc.weight")
    assert np.array_equal(dense.T, he_normal()((8, 16), seed=0, name="fc.weight", axes="in out"))


def test_a_slice_of_a_keras_kernel_is_the_slice_of_the_whole() -> None:
    whole = he_normal()((5, 3, 8, 16), seed=0, name="w", axes="hwio")
    part = (slice(None, None, -2), 1, slice(2, 7), slice(None, None, 3))
    alone = he_normal()((5, 3, 8, 16), seed=0, name="w", axes="hwio", index=part)
    assert np.array_equal(alone, whole[part])


@given(st.permutations([("stack", 2), ("out", 3), ("out", 4), ("in", 5), ("kernel", 6)]))
def test_any_layout_holds_the_canonical_values(stored: list[tuple[str, int]]) -> None:
    """The order of the two out axes is part of the layout: each group counts as stored."""
    axes = Axes(tuple(role for role, _ in stored))
    drawn = normal()([size for _, size in stored], seed=1, name="w", axes=axes)
    canonical = drawn.transpose(canonical_order(axes))
    flat = normal()(math.prod(canonical.shape), seed=1, name="w")
    assert np.array_equal(canonical.ravel(), flat)


def test_an_embedding_table_counts_in_rows() -> None:
    table = normal()((7, 4), seed=0, name="emb", axes="stack out")
    padded = normal()((8, 4), seed=0, name="emb", axes="stack out")
    assert np.array_equal(padded[:7], table)


def test_axes_are_checked_for_constants_too() -> None:
    with pytest.raises(FaninError, match="names 1 axes"):
        constant(1.0)((2, 2), seed=0, name="a", axes="out")
