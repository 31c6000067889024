"""Programs as graphs: layers, norms, convolutions and attention, as JAX writes them down."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fanin.frameworks.jax._program import Leaf, Program
from fanin.frameworks.jax.trace._trace import trace

Arrays = Mapping[str, Any]


def program(
    function: Callable[..., Any], shapes: Mapping[str, tuple[int, ...]], *inputs: Any, **held: Any
) -> Program:
    """A function of parameters by name; `held` is what it holds beside them."""
    leaves = [Leaf(name, _abstract(shape), True, _module(name)) for name, shape in shapes.items()]
    states = {name.replace("__", "."): value for name, value in held.items()}
    leaves += [Leaf(name, value, False, _module(name)) for name, value in states.items()]
    names = [leaf.name for leaf in leaves]
    given = tuple(_abstract(item) if isinstance(item, tuple) else item for item in inputs)
    return Program(
        lambda values, *x: function(dict(zip(names, values, strict=True)), *x),
        tuple(leaves),
        given,
    )


def _abstract(shape: tuple[int, ...]) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def lines(function: Callable[..., Any], shapes: Any, *inputs: Any, **held: Any) -> list[str]:
    return str(trace(program(function, shapes, *inputs, **held))).splitlines()


def test_a_perceptron_with_a_norm() -> None:
    def model(p: Arrays, x: Any) -> Any:
        x = jax.nn.gelu(x @ p["a.weight"] + p["a.bias"])
        mean = x.mean(-1, keepdims=True)
        variance = jnp.maximum(0.0, jnp.mean(x * x, -1, keepdims=True) - mean * mean)
        x = (x - mean) * (jax.lax.rsqrt(variance + 1e-6) * p["n.weight"]) + p["n.bias"]
        return jax.nn.relu(x) @ p["b.weight"]

    shapes = {"a.weight": (8, 16), "a.bias": (16,), "n.weight": (16,), "n.bias": (16,)}
    assert lines(model, shapes | {"b.weight": (16, 4)}, (3, 8)) == [
        "0 input[]",
        "1 linear[0] a.weight [in out] dot_general",
        "2 shift[1] a.bias [stack] units",
        "3 pointwise[2] gelu tanh",
        "4 normalize[3] layer_norm",
        "5 scale[4] n.weight [stack]",
        "6 shift[5] n.bias [stack]",
        "7 pointwise[6] relu",
        "8 linear[7] b.weight [in out] dot_general",
    ]


def test_a_convolutional_network_with_running_statistics() -> None:
    numbers = ("NHWC", "HWIO", "NHWC")

    def model(p: Arrays, x: Any) -> Any:
        x = jax.lax.conv_general_dilated(
            x, p["a.weight"], (1, 1), "SAME", dimension_numbers=numbers
        )
        x = (x - p["n.mean"]) * (jax.lax.rsqrt(p["n.var"] + 1e-5) * p["n.weight"]) + p["n.bias"]
        x = jax.nn.relu(x)
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x = jax.lax.conv_general_dilated(
            x, p["b.weight"], (2, 2), "SAME", dimension_numbers=numbers
        )
        return jax.nn.silu(x + p["b.bias"]).mean((1, 2)) @ p["c.weight"]

    shapes = {"a.weight": (3, 3, 3, 16), "n.weight": (16,), "n.bias": (16,)}
    shapes |= {"b.weight": (3, 3, 16, 32), "b.bias": (32,), "c.weight": (32, 10)}
    held = {"n__mean": jnp.zeros(16), "n__var": jnp.ones(16)}
    graph = trace(program(model, shapes, (2, 16, 16, 3), **held))
    assert str(graph).splitlines() == [
        "0 input[]",
        "1 linear[0] a.weight [kernel kernel in out] convolution",
        "2 normalize[1] batch_norm",
        "3 scale[2] n.weight [stack]",
        "4 shift[3] n.bias [stack]",
        "5 pointwise[4] relu",
        "6 max[5] max_pool",
        "7 linear[6] b.weight [kernel kernel in out] convolution",
        "8 shift[7] b.bias [stack] units",
        "9 pointwise[8] silu",
        "10 mean[9]",
        "11 linear[10] c.weight [in out] dot_general",
    ]
    assert [node.shape for node in graph.nodes[:8:3]] == [
        (2, 3, 16, 16),
        (2, 16, 16, 16),
        (2, 16, 8, 8),
    ]
    assert graph.nodes[2].over == "batch"
    assert graph.nodes[10].count == 16


def test_a_block_of_attention() -> None:
    def model(p: Arrays, x: Any) -> Any:
        q, k, v = (
            jnp.einsum("btd,dhk->bthk", x, p[f"{name}.weight"]) + p[f"{name}.bias"]
            for name in "qkv"
        )
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
        return x + jnp.einsum("bthk,hkd->btd", y, p["o.weight"]) + p["o.bias"]

    shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": (32, 4, 8) for name in "qkv"}
    shapes |= {f"{name}.bias": (4, 8) for name in "qkv"}
    graph = trace(program(model, shapes | {"o.weight": (4, 8, 32), "o.bias": (32,)}, (2, 5, 32)))
    shown = [str(node) for node in graph.nodes if node.op != "view"]
    assert shown[1] == "linear[0] q.weight [in out out] dot_general"
    assert shown[2] == "shift[1] q.bias [stack stack] units"
    assert [node.split("[")[0] for node in shown[7:]] == [
        *("matmul", "pointwise", "softmax", "matmul", "linear", "add", "shift"),
    ]
    assert "o.weight [in in out]" in shown[11]
