"""Weights that act through functions, views or other parameters; tables, tokens and ties."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fanin.graph import Graph, Use

Arrays = Mapping[str, Any]
Traced = Callable[..., Graph]
Lines = Callable[..., list[str]]


def use_of(graph: Graph, name: str) -> Use:
    (use,) = (node.param for node in graph.nodes if node.param and node.param.name == name)
    return use


def test_a_normalized_weight_is_a_weight_with_a_scale(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return x @ (p["g"] * p["v"] / jnp.linalg.norm(p["v"], axis=0, keepdims=True))

    graph = traced(model, {"v": (8, 16), "g": (16,)}, (5, 8))
    assert [node.op for node in graph.nodes] == ["input", "linear", "scale"]
    use = use_of(graph, "v")
    assert use.function is not None
    random = np.random.default_rng(0)
    matrix = use.function.whole({"v": random.normal(size=(8, 16))})
    assert matrix.shape == (16, 8)
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, rtol=1e-6)


def test_functions_of_a_weight_are_followed(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        x = x * jnp.exp(-jnp.exp(p["a"])) * jax.nn.softplus(p["c"])
        return x @ jnp.tril(2 * jnp.tanh(p["w"]))

    graph = traced(model, {"a": (8,), "c": (8,), "w": (8, 8)}, (5, 8))
    assert use_of(graph, "c").through == ("softplus 1 20",)
    decay, weight = use_of(graph, "a"), use_of(graph, "w")
    assert decay.through == ("exp", "neg", "exp")
    assert decay.function is not None
    assert decay.function.each is not None
    assert decay.function.each(np.zeros(1))[0] == pytest.approx(np.exp(-1))
    assert weight.through == ("tanh", "mul 2", "where")
    assert str(weight.axes) == "in out"
    assert weight.function is not None
    assert weight.function.each is None
    matrix = weight.function.whole({"w": np.ones((8, 8))})
    np.testing.assert_allclose(matrix, np.triu(np.full((8, 8), 2 * np.tanh(1))))


def test_products_of_parameters_are_layers_one_behind_another(lines: Lines) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return x @ (p["w"] + 0.5 * (p["a"] @ p["b"]))

    assert lines(model, {"w": (8, 8), "a": (8, 2), "b": (2, 8)}, (5, 8)) == [
        "linear w [in out] dot_general",
        "linear a [in out] dot_general",
        "pointwise mul 0.5",
        "linear b [in out] dot_general",
        "add",
    ]


@pytest.mark.parametrize("form", ["take", "index", "one hot", "vmap", "scalar"])
def test_rows_of_a_table(form: str, traced: Traced) -> None:
    def model(p: Arrays, tokens: Any) -> Any:
        if form == "take":
            return jnp.take(p["table"], tokens, axis=0)
        if form == "index":
            return p["table"][tokens]
        if form == "one hot":
            return jax.nn.one_hot(tokens, 50) @ p["table"]
        if form == "vmap":
            return jax.vmap(lambda token: p["table"][token])(tokens)
        return p["table"][tokens[0]]

    for tokens in (jnp.zeros(5, jnp.int32), jax.eval_shape(lambda: jnp.zeros(5, jnp.int32))):
        graph = traced(model, {"table": (50, 8)}, tokens)
        node = next(node for node in graph.nodes if node.param is not None)
        assert (node.op, str(node.param.axes if node.param else "")) == ("lookup", "stack out")
        assert "integers" in graph.nodes[0].flags


def test_a_table_that_is_the_head_has_both_uses(lines: Lines) -> None:
    def model(p: Arrays, tokens: Any) -> Any:
        return jax.nn.relu(p["table"][tokens] + p["places"]) @ p["table"].T

    shapes = {"table": (50, 8), "places": (5, 8)}
    assert lines(model, shapes, jnp.zeros((2, 5), jnp.int32)) == [
        "lookup table [stack out] embedding",
        "shift places [stack stack]",
        "pointwise relu",
        "linear table [out in] dot_general",
    ]


def test_tokens_of_their_own_are_parameters(lines: Lines) -> None:
    def model(p: Arrays, x: Any) -> Any:
        token = jnp.broadcast_to(p["token"], (2, 1, 8))
        return jnp.concatenate([token, x @ p["w"]], 1) * p["scale"]

    shapes: dict[str, tuple[int, ...]] = {"token": (1, 1, 8), "w": (8, 8), "scale": (8,)}
    assert sorted(lines(model, shapes, (2, 5, 8))) == [
        "concat cat",
        "linear w [in out] dot_general",
        "parameter token [stack stack stack]",
        "scale scale [stack]",
    ]


def test_a_parameter_is_in_the_module_that_holds_it(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return jax.nn.relu(x @ p["a.w"] + p["a.b"]) @ p["b.w"]

    graph = traced(model, {"a.w": (8, 8), "a.b": (8,), "b.w": (8, 8)}, (5, 8))
    assert [node.module for node in graph.nodes] == ["", "a", "a", "a", "b"]


def test_known_places_are_parts(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        h = x @ p["w"]
        return h[:, jnp.array([3, 4])], h[..., 0], h[:, ::2], jnp.flip(h, 1)

    views = [node for node in traced(model, {"w": (8, 16)}, (5, 8)).nodes if node.op == "view"]
    third = views[3].label  # a gather in JAX 0.8
    assert [node.label for node in views] == ["slice", "select", "squeeze", third, "flip"]
    assert third in ("slice", "index")


def test_sums_of_neighbours(traced: Traced) -> None:
    edges = np.array([0, 0, 0, 1, 1, 2])

    def model(p: Arrays, x: Any) -> Any:
        return jax.ops.segment_sum(x @ p["w"], edges, num_segments=3)

    node = traced(model, {"w": (8, 16)}, (6, 8)).nodes[-1]
    assert (node.op, node.count) == ("sum", pytest.approx((14 / 3) ** 0.5))


def test_zeros_beside_features_count_and_around_maps_do_not(traced: Traced) -> None:
    numbers = ("NHWC", "HWIO", "NHWC")

    def model(p: Arrays, x: Any) -> Any:
        x = jax.lax.conv_general_dilated(x, p["w"], (1, 1), "SAME", dimension_numbers=numbers)
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, 8))), jnp.pad(
            x, ((0, 0), (1, 2), (3, 0), (0, 0))
        )

    beside, around = traced(model, {"w": (3, 3, 4, 8)}, (2, 6, 6, 4)).nodes[2:]
    assert (beside.filled, beside.window) == (0.5, None)
    assert around.filled is None
    assert around.window is not None
    assert around.window.before == (1, 3)
    assert around.shape == (2, 8, 9, 9)
