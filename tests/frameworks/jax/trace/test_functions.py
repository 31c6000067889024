"""Functions element by element: under the names that torch calls them by, or by their values."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fanin.graph import Graph

Arrays = Mapping[str, Any]
Traced = Callable[..., Graph]
ONE = {"w": (8, 16)}

LABELS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "relu": (jax.nn.relu, "relu"),
    "relu6": (jax.nn.relu6, "hardtanh 0 6"),
    "gelu": (jax.nn.gelu, "gelu tanh"),
    "exact gelu": (lambda x: jax.nn.gelu(x, approximate=False), "gelu none"),
    "silu": (jax.nn.silu, "silu"),
    "swish by hand": (lambda x: x * jax.nn.sigmoid(x), "silu"),
    "sigmoid": (jax.nn.sigmoid, "sigmoid"),
    "softplus": (jax.nn.softplus, "softplus 1 20"),
    "mish": (jax.nn.mish, "mish"),
    "elu": (jax.nn.elu, "elu 1 1 1"),
    "elu with a number": (lambda x: jax.nn.elu(x, 0.5), "elu 0.5 1 1"),
    "selu": (jax.nn.selu, "elu 1.67326 1.0507 1"),
    "leaky_relu": (jax.nn.leaky_relu, "leaky_relu 0.01"),
    "leaky by where": (lambda x: jnp.where(x > 0, x, 0.01 * x), "leaky_relu 0.01"),
    "leaky by maximum": (lambda x: jnp.maximum(x, 0.01 * x), "leaky_relu 0.01"),
    "relu by mask": (lambda x: x * (x > 0), "relu"),
    "hard_silu": (jax.nn.hard_silu, "hardswish"),
    "hard_sigmoid": (jax.nn.hard_sigmoid, "hardsigmoid"),
    "hard_tanh": (jax.nn.hard_tanh, "hardtanh -1 1"),
    "log_sigmoid": (jax.nn.log_sigmoid, "log_sigmoid_forward"),
    "soft_sign": (jax.nn.soft_sign, "softsign"),
    "squareplus": (jax.nn.squareplus, "squareplus"),
    "tanh": (jnp.tanh, "tanh"),
    "sin": (jnp.sin, "sin"),
    "a lambda": (lambda x: x * jnp.tanh(jnp.exp(-x * x)), "mul"),
    "a jitted function": (jax.jit(lambda x: jnp.sin(x) + jnp.cos(x)), "add"),
}


@pytest.mark.parametrize("name", LABELS)
def test_functions_have_names_and_values(name: str, traced: Traced) -> None:
    function, label = LABELS[name]
    graph = traced(lambda p, x: function(x @ p["w"]), ONE, (3, 8))
    assert [node.op for node in graph.nodes] == ["input", "linear", "pointwise"]
    node = graph.nodes[-1]
    assert node.label == label
    assert node.fn is not None
    points = np.linspace(-5, 5, 41)
    expected = np.asarray(function(jnp.asarray(points, jnp.float32)), np.float64)
    np.testing.assert_allclose(node.fn(points), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gelu", "exact gelu", "silu", "mish", "softplus", "elu"])
def test_functions_in_few_bits_have_the_same_names_and_values(name: str, traced: Traced) -> None:
    function, label = LABELS[name]
    graph = traced(lambda p, x: function((x @ p["w"]).astype(jnp.bfloat16)), ONE, (3, 8))
    node = graph.nodes[-1]
    assert (node.op, node.label) == ("pointwise", label)
    assert node.fn is not None
    expected = np.asarray(function(jnp.asarray([-1.0, 2.0], jnp.float32)), np.float64)
    np.testing.assert_allclose(node.fn(np.array([-1.0, 2.0])), expected, rtol=1e-5)


def test_a_function_of_two_activations_stays_a_product(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        h = x @ p["w"]
        return jax.nn.silu(h[:, :8]) * h[:, 8:]

    ops = [node.op for node in traced(model, ONE, (3, 8)).nodes]
    assert sorted(ops) == ["input", "linear", "mul", "pointwise", "view", "view"]


@pytest.mark.parametrize("form", ["where", "two"])
def test_a_slope_that_is_learned_is_a_parameter_of_the_function(form: str, traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        h = x @ p["w"]
        if form == "where":
            return jnp.where(h >= 0, h, p["slope"] * h)
        return jax.nn.relu(h) - p["slope"] * jax.nn.relu(-h)

    graph = traced(model, ONE | {"slope": (16,)}, (3, 8))
    assert [node.op for node in graph.nodes][-2:] == ["parameter", "pointwise"]
    fn, sign = graph.nodes[-1].fn, 1 if form == "where" else -1
    assert fn is not None
    slope = np.array([0.25])
    assert fn(np.array([-2.0]), sign * slope * sign)[0] == pytest.approx(-0.5)
    assert fn(np.array([2.0]), slope) == 2.0


def test_softmax_is_seen_however_it_is_written(traced: Traced) -> None:
    def by_hand(x: Any) -> Any:
        e = jnp.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def log_by_hand(x: Any) -> Any:
        x = x - jax.lax.stop_gradient(x.max(-1, keepdims=True))
        return x - jnp.log(jnp.exp(x).sum(-1, keepdims=True))

    for function in (jax.nn.softmax, by_hand, jax.nn.log_softmax, log_by_hand):
        graph = traced(lambda p, x, f=function: f(x @ p["w"]), ONE, (3, 8))
        assert [node.op for node in graph.nodes] == ["input", "linear", "softmax"]
        logarithm = "logarithm" in graph.nodes[-1].flags
        assert logarithm == (function in (jax.nn.log_softmax, log_by_hand))


def test_dropout_is_known_by_its_noise(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        h = x @ p["w"]
        kept = jax.random.bernoulli(jax.random.key(0), 0.75, h.shape)
        return jnp.where(kept, h / 0.75, 0) * jax.random.bernoulli(jax.random.key(1), 0.5, h.shape)

    graph = traced(model, ONE, (3, 8))
    assert [node.op for node in graph.nodes[2:]] == ["dropout", "dropout", "pointwise"]
    assert [node.rate for node in graph.nodes[2:4]] == pytest.approx([0.25, 0.5])


@pytest.mark.parametrize("typed", [True, False])
def test_keys_may_be_inputs(typed: bool, traced: Traced) -> None:
    def model(p: Arrays, x: Any, key: Any) -> Any:
        h = x @ p["w"]
        noise = 0.1 * jax.random.normal(key, h.shape)
        keys = jax.random.split(key, 3)
        kept = jax.vmap(lambda key: jax.random.bernoulli(key, 0.75, (16,)))(keys)
        return jnp.where(kept, h / 0.75, 0) + noise

    key = jax.random.key(0) if typed else jax.random.PRNGKey(0)
    graph = traced(model, ONE, (3, 8), key)
    ops = [node.op for node in graph.nodes if node.op != "view"]
    assert ops == ["input", "input", "linear", "dropout", "buffer", "add"]
    assert [node.rate for node in graph.nodes if node.op == "dropout"] == [pytest.approx(0.25)]


def test_masks_are_views(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        h = x @ p["w"]
        mask = jnp.tril(jnp.ones((3, 16), bool))
        return jnp.where(mask, h, -jnp.inf), h + jnp.where(mask, 0.0, -1e9), h * mask

    graph = traced(model, ONE, (3, 8))
    assert [(node.op, node.label) for node in graph.nodes[2:]] == [("view", "mask")] * 3
