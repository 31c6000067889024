"""Products: fans and roles by the numbers of dimensions that contractions and windows have."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from fanin.graph import Graph, Use

Arrays = Mapping[str, Any]
Traced = Callable[..., Graph]
Shape = tuple[int, ...]

CONTRACTIONS: dict[str, tuple[str, Shape, Shape, str, tuple[int, int]]] = {
    # spelling, input, weight; roles, and what is summed and reached
    "dense": ("bd,df->bf", (5, 8), (8, 16), "in out", (8, 16)),
    "dense, torch's layout": ("bd,fd->bf", (5, 8), (16, 8), "out in", (8, 16)),
    "heads out": ("btd,dhk->bthk", (2, 5, 8), (8, 4, 3), "in out out", (8, 12)),
    "heads in": ("bthk,hkd->btd", (2, 5, 4, 3), (4, 3, 8), "in in out", (12, 8)),
    "packed": ("btd,dchk->cbthk", (2, 5, 8), (8, 3, 4, 3), "in out out out", (8, 36)),
    "experts": ("ebd,edf->ebf", (4, 5, 8), (4, 8, 16), "stack in out", (8, 16)),
    "heads apart": ("bthk,hkd->bthd", (2, 5, 4, 3), (4, 3, 8), "stack in out", (3, 8)),
    "features first": ("db,df->fb", (8, 5), (8, 16), "in out", (8, 16)),
    "a vector": ("bd,d->b", (5, 8), (8,), "in", (8, 1)),
}


def use_of(graph: Graph, name: str = "w") -> Use:
    (use,) = (node.param for node in graph.nodes if node.param and node.param.name == name)
    return use


@pytest.mark.parametrize("name", CONTRACTIONS)
def test_contractions(name: str, traced: Traced) -> None:
    spelling, x, w, roles, fans = CONTRACTIONS[name]
    use = use_of(traced(lambda p, x: jnp.einsum(spelling, x, p["w"]), {"w": w}, x))
    assert str(use.axes) == roles
    assert (use.axes.size("in", w), use.axes.size("out", w)) == fans
    assert use.fan_in(w) == fans[0]


def test_vmapped_layers_have_the_roles_of_layers(traced: Traced) -> None:
    def one(w: Any, x: Any) -> Any:
        return w @ x

    shared = traced(lambda p, x: jax.vmap(one, (None, 0))(p["w"], x), {"w": (16, 8)}, (5, 8))
    assert str(use_of(shared).axes) == "out in"
    each = traced(lambda p, x: jax.vmap(one)(p["w"], x), {"w": (5, 16, 8)}, (5, 8))
    assert str(use_of(each).axes) == "stack out in"


def test_reshaped_weights_keep_what_their_axes_do(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return x @ p["w"].reshape(8, 12) @ p["v"].transpose(1, 0, 2).reshape(12, 8)

    graph = traced(model, {"w": (8, 4, 3), "v": (3, 4, 8)}, (5, 8))
    assert str(use_of(graph).axes) == "in out out"
    assert str(use_of(graph, "v").axes) == "in in out"


def _convolve(x: Any, w: Any, numbers: tuple[str, str, str], **how: Any) -> Any:
    how = {"window_strides": (1, 1), "padding": "SAME"} | how
    return lax.conv_general_dilated(x, w, dimension_numbers=numbers, **how)


LAST = ("NHWC", "HWIO", "NHWC")
FIRST = ("NCHW", "OIHW", "NCHW")

CONVOLUTIONS: dict[str, tuple[Shape, Shape, Callable[[Any, Any], Any], str, float]] = {
    "features last": (
        (2, 6, 6, 8),
        (3, 3, 8, 16),
        lambda x, w: _convolve(x, w, LAST),
        "kernel kernel in out",
        72,
    ),
    "features first": (
        (2, 8, 6, 6),
        (16, 8, 3, 3),
        lambda x, w: _convolve(x, w, FIRST, window_strides=(2, 2)),
        "out in kernel kernel",
        72,
    ),
    "depthwise": (
        (2, 6, 6, 8),
        (3, 3, 1, 8),
        lambda x, w: _convolve(x, w, LAST, feature_group_count=8),
        "kernel kernel in out",
        9,
    ),
    "grouped": (
        (2, 6, 6, 8),
        (3, 3, 4, 16),
        lambda x, w: _convolve(x, w, LAST, feature_group_count=2),
        "kernel kernel in out",
        36,
    ),
    "dilated": (
        (2, 9, 9, 8),
        (3, 3, 8, 16),
        lambda x, w: _convolve(x, w, LAST, rhs_dilation=(2, 2)),
        "kernel kernel in out",
        72,
    ),
    "transposed": (
        (2, 6, 6, 8),
        (4, 4, 8, 16),
        lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME", dimension_numbers=LAST),
        "kernel kernel in out",
        32,
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name: str, traced: Traced) -> None:
    x, w, convolve, roles, terms = CONVOLUTIONS[name]
    graph = traced(lambda p, x: convolve(x, p["w"]), {"w": w}, x)
    use, (read, made) = use_of(graph), graph.nodes
    assert str(use.axes) == roles
    assert use.fan_in(w) == terms
    assert use.axes.transposed == (name == "transposed")
    assert "convolution" in made.flags
    assert (read.shape[1], made.shape[1]) == (8, 16 if name != "depthwise" else 8)
    if name == "transposed":
        assert made.window is None
    else:
        assert made.window is not None
        dilation = 2 if name == "dilated" else 1
        assert made.window.dilation == (dilation,) * 2
        assert made.window.before[0] == (0 if name == "features first" else dilation)


def test_a_grouped_transposed_convolution_says_what_it_sums(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        how = {"lhs_dilation": (2, 2), "padding": ((2, 2), (2, 2)), "feature_group_count": 2}
        return _convolve(x, p["w"], LAST, **how)

    assert use_of(traced(model, {"w": (4, 4, 4, 16)}, (2, 6, 6, 8))).fan_in((4, 4, 4, 16)) == 16


def test_packed_projections_are_told_apart(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        q, k, v = jnp.split(x @ p["w"], 3, -1)
        return jax.nn.softmax(q @ k.swapaxes(-1, -2)) @ v

    assert use_of(traced(model, {"w": (8, 24)}, (2, 5, 8))).axes.blocks == (8, 8, 8)

    def by_heads(p: Arrays, x: Any) -> Any:
        q, k, v = jnp.moveaxis((x @ p["w"]).reshape(2, 5, 4, 3, 2), 3, 0)
        return jnp.einsum("bthd,bshd,bshe->bthe", q, k, v)

    assert use_of(traced(by_heads, {"w": (8, 24)}, (2, 5, 8))).period == (2, 2, 2)


def test_pools_and_means(traced: Traced) -> None:
    def window(x: Any, size: int, padding: str = "VALID") -> Any:
        sizes = (1, size, size, 1)
        return lax.reduce_window(x, 0.0, lax.add, sizes, sizes, padding)

    def model(p: Arrays, x: Any) -> Any:
        x = _convolve(x, p["w"], LAST)
        inside = window(x, 3, "SAME") / window(jnp.ones((1, 8, 8, 1)), 3, "SAME")
        padded = window(x, 3, "SAME") / 9
        return window(x, 2) / 4, x.mean((1, 2)), window(x, 8) / 64, x.sum(-1), inside, padded

    nodes = traced(model, {"w": (3, 3, 4, 8)}, (2, 8, 8, 4)).nodes[2:]
    found = {(node.op, node.count and round(node.count, 3), node.factor) for node in nodes}
    assert {("pool", 4.0, None), ("mean", 64.0, None), ("sum", 8.0, None)} <= found
    assert ("pool", 6.612, None) in found  # where the last window is cut off
    assert any(op == "pool" and factor is not None for op, _, factor in found)


def test_known_matrices_mix_positions(traced: Traced) -> None:
    half = np.array([[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]], np.float32)
    nodes = traced(lambda p, x: half @ (x @ p["w"]), {"w": (8, 16)}, (4, 8)).nodes
    assert [(node.op, node.count) for node in nodes[2:]] == [("sum", 2.0), ("pointwise", None)]
    assert nodes[3].label == "mul 0.5"


def test_a_bias_of_every_expert_covers_the_units_of_all(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return jnp.einsum("etd,edm->etm", x, p["w"]) + p["b"]

    nodes = traced(model, {"w": (4, 8, 16), "b": (4, 1, 16)}, (4, 5, 8)).nodes
    assert [(node.op, sorted(node.flags)) for node in nodes[2:]] == [("shift", ["units"])]
