"""Fans: of torch's layouts, of any layout, of groups, and of what has none."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jax._src.nn import initializers as jax_initializers

from fanin import FaninError, Fans, fans
from fanin.axes import Axes
from fanin.initializers import get

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
        FaninError,
        match=rf"groups is {groups}; it must divide the 8 outputs of \(8, 4\)\. Give the groups of",
    ):
        fans((8, 4), groups=groups)


@pytest.mark.parametrize("groups", [0, -1, 2.0, "2", None])
def test_groups_are_an_integer(groups: Any) -> None:
    with pytest.raises(FaninError, match=f"groups is {groups!r}; it is an integer >= 1"):
        fans((8, 4), groups=groups)


def test_shapes_are_checked() -> None:
    with pytest.raises(FaninError, match="every size must be >= 0"):
        fans((3, -1))


@given(st.lists(sizes, min_size=2, max_size=5), st.integers(0, 2))
def test_a_convention_is_the_librarys_own_rule(shape: list[int], which: int) -> None:
    name = ("torch", "jax", "keras")[which]
    theirs = {
        "torch": lambda: torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape)),
        "jax": lambda: jax_initializers._compute_fans(tuple(shape), -2, -1, ()),
        "keras": lambda: keras_fans(tuple(shape)),
    }[name]
    assert fans(shape, convention=name) == pytest.approx(theirs())  # type: ignore[arg-type]


def keras_fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """keras.initializers.compute_fans, as keras 3 writes it; importing Keras takes seconds."""
    if len(shape) == 2:
        return shape
    receptive = math.prod(shape[:-2])
    return shape[-2] * receptive, shape[-1] * receptive


def test_one_axis_of_the_libraries() -> None:
    assert fans(7, convention="keras") == Fans(7, 7)
    assert fans((), convention="keras") == Fans(1, 1)
    for name in ("torch", "jax"):
        with pytest.raises(
            FaninError, match=rf"shape \(7,\) has no fan-in under {name}'s rule: give"
        ):
            fans(7, convention=name)  # type: ignore[arg-type]


@given(sizes, sizes, sizes, st.integers(1, 3), st.integers(1, 3))
def test_a_transposed_convolution_is_the_other_way_round(
    out: int, in_: int, k: int, stride: int, groups: int
) -> None:
    """One that goes from in to out has the fans of one from out to in, exchanged."""
    there = fans((out * groups, in_, k, k), groups=groups, stride=stride)
    back = fans(
        (out * groups, in_, k, k), "in out kh kw", groups=groups, transposed=True, stride=stride
    )
    assert (back.fan_in, back.fan_out) == (there.fan_out, there.fan_in)


def test_a_transposed_convolutions_fans_are_counted() -> None:
    """By putting ones through torch's: the mean of what an output sums, at positions inside."""
    weight = torch.ones(6, 2, 4, 5)
    out = torch.nn.functional.conv_transpose2d(
        torch.ones(1, 6, 30, 30), weight, stride=(2, 3), groups=3
    )
    inside = out[0, 0, 20:32, 20:32]  # a whole number of periods of both strides
    found = fans((6, 2, 4, 5), "in out kh kw", groups=3, transposed=True, stride=(2, 3))
    assert inside.mean().item() == pytest.approx(found.fan_in)
    assert found.fan_in == pytest.approx(2 * 4 * 5 / 6)
    assert found.fan_out == 2 * 4 * 5


def test_a_stride_makes_a_fan_a_fraction_or_stays_whole() -> None:
    assert fans((9, 4, 3), stride=2) == Fans(12, 13.5)
    whole = fans((8, 4, 3), stride=2)
    assert whole == Fans(12, 12)
    assert type(whole.fan_out) is int
    assert fans((64, 32, 3, 3), stride=(2, 1)) == fans((64, 32, 3, 3), stride=(1, 2))
    assert fans((8, 4), stride=3) == Fans(4, 8)  # no kernel, no positions to skip


@given(sizes, sizes, st.integers(1, 5))
def test_packed_blocks_have_the_fans_of_one(out: int, in_: int, count: int) -> None:
    assert fans((count * out, in_), blocks=count) == fans((out, in_))
    assert fans((in_, count * out), "in out", blocks=count) == fans((out, in_))


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((512, 8, 64), "in head dim", (512, 512)),
        ((8, 64, 512), "head dim out", (512, 512)),
        ((8, 64, 512), "head dim in", (512, 512)),
        ((8, 512, 64), "head in dim", (512, 512)),
        ((4, 3, 8, 2), "layer in head dim", (3, 16)),
        ((8, 64, 512), "in:head in:dim out", (512, 512)),
    ],
)
def test_heads_are_on_the_side_that_is_not_named(
    shape: tuple[int, ...], axes: str, expected: tuple[int, int]
) -> None:
    assert fans(shape, axes) == expected


@pytest.mark.parametrize("axes", ["head dim", "in head out", "head in out", "head dim kh"])
def test_heads_on_an_unclear_side_are_an_error(axes: str) -> None:
    message = f"axes '{axes}' leaves open which side head and dim are on: write out:head out:dim or"
    with pytest.raises(FaninError, match=message):
        fans((2,) * len(axes.split()), axes)


def test_the_articles_rule() -> None:
    article = {"convention": "article", "spatial_out": (24, 24)}
    assert fans((8, 1, 5, 5), **article) == Fans(200, 24 * 24 * 8)  # type: ignore[arg-type]
    assert fans((10, 784), convention="article") == Fans(784, 10)
    with pytest.raises(FaninError, match="convention 'article' needs spatial_out=, the height and"):
        fans((8, 1, 5, 5), convention="article")
    with pytest.raises(FaninError, match="spatial_out is read by convention 'article'; this is"):
        fans((8, 1, 5, 5), spatial_out=(24, 24))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"convention": "tf"}, "convention is 'tf'; allowed are fanin, torch, jax, keras, article"),
        ({"stride": 0}, "stride is 0; it is an integer >= 1, or a tuple"),
        ({"stride": 1.5}, "stride is 1.5; it is an integer >= 1"),
        ({"stride": (2, 2, 2)}, r"stride \(2, 2, 2\) has 3 numbers; axes .* has 2 kernel axes"),
        ({"blocks": 3}, r"blocks is 3; it must divide the first `out` axis of \(8, 6, 3, 3\), 8"),
        ({"blocks": 0}, "blocks is 0; it must divide"),
        ({"groups": 4, "transposed": True}, r"groups is 4; it must divide the 6 inputs of \(8, 6"),
        ({"groups": 3}, r"groups is 3; it must divide the 8 outputs of \(8, 6, 3, 3\). Give the"),
        ({"axes": "out inn kh kw"}, "axes 'out inn kh kw' has 'inn'; a token is one of stack, out"),
        ({"axes": "oihww"}, "axes 'oihww' has 'oihww'; a token .* Shorthands: oi, io, "),
        ({"axes": "out in"}, r"axes 'out in' names 2 axes of shape \(8, 6, 3, 3\)"),
        ({"axes": 3}, "axes is 3; give roles in stored order, such as 'out in kh kw'"),
        ({"axes": Axes(("out", "in", "kernel", "kernel")), "stride": 2}, "axes is an Axes, which"),
        ({"axes": Axes(("out", "in", "kernel", "kernel"), 2), "groups": 4}, "axes says 2; say it"),
        ({"axes": Axes(("out", "in", "kernel", "kernel"), blocks=(5, 3))}, "give the shape of one"),
        ({"axes": Axes(("out", "in", "kernel", "kernel"), blocks=(5, 5))}, r"\(5, 5\) sum to 10"),
    ],
)
def test_bad_input_is_named_with_what_is_allowed(arguments: Any, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        fans((8, 6, 3, 3), **arguments)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "uniform(1.0, -1.0)",
            r"low=1.0, high=-1.0; low must be < high. Swap them, or use constant",
        ),
        ("truncated_normal(lower=2.0, upper=-2.0)", r"lower must be < upper. Swap them, or use"),
    ],
)
def test_reversed_bounds_say_what_to_do(expression: str, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        get(expression)
