"""Loops, branches and calls: layers of a scan count as deep as they are; cells are recurrent."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from fanin.errors import FaninError
from fanin.graph import Graph, NoGraphError, Structure

Arrays = Mapping[str, Any]
Traced = Callable[..., Graph]
Lines = Callable[..., list[str]]
TWO: dict[str, tuple[int, ...]] = {"a": (8, 8), "b": (8, 8)}


def _block(x: Any, w: Any) -> Any:
    normed = x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-6)
    return x + jax.nn.relu(normed @ w["a"]) @ w["b"]


def test_scanned_layers_are_a_stream_as_long_as_they_are_many(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        x, _ = jax.lax.scan(lambda x, w: (_block(x, w), None), x, dict(p))
        return x

    graph = traced(model, {"a": (6, 8, 16), "b": (6, 16, 8)}, (2, 5, 8))
    structure = Structure(graph)
    assert {chain.length for chain in structure.chains.values()} == {6}
    uses = [node.param for node in graph.nodes if node.op == "linear"]
    assert [use.row for use in uses if use and use.name == "b"] == [*range(6)]
    assert {str(use.axes) for use in uses if use} == {"stack in out"}


def test_a_loop_that_counts_picks_its_layers(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        step = lambda i, x: _block(x, {"a": p["a"][i], "b": p["b"][i]})  # noqa: E731
        return jax.lax.fori_loop(0, 4, step, x)

    graph = traced(model, {"a": (4, 8, 16), "b": (4, 16, 8)}, (2, 8))
    assert [node.op for node in graph.nodes].count("linear") == 8
    assert "stack in out" in str(graph)


def test_a_long_loop_over_an_input_is_not_followed_to_its_end(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        step = lambda h, x: (jnp.sin(h @ p["a"] + x @ p["b"]),) * 2  # noqa: E731
        return jax.lax.scan(step, jnp.zeros(8), x)[1]

    graph = traced(model, TWO, (5000, 8))
    assert len(graph.nodes) < 100
    assert graph.nodes[graph.outputs[0]].shape == (5000, 8)


def test_a_map_is_followed_once(lines: Lines) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return jax.lax.map(lambda x: jax.nn.relu(x @ p["a"]), x) @ p["b"]

    assert lines(model, TWO, (100, 3, 8)) == [
        "linear a [in out] dot_general",
        "pointwise relu",
        "linear b [in out] dot_general",
    ]


def test_a_cell_is_a_recurrent_layer(traced: Traced) -> None:
    def cell(p: Arrays, h: Any, x: Any) -> Any:
        return jnp.tanh(x @ p["a"] + h @ p["b"] + p["c"])

    def model(p: Arrays, x: Any) -> Any:
        step = lambda h, x: (cell(p, h, x),) * 2  # noqa: E731
        return jax.lax.scan(step, jnp.zeros((3, 8)), x)[1] @ p["d"]

    graph = traced(model, TWO | {"c": (8,), "d": (8, 2)}, (50, 3, 8))
    node = graph.nodes[1]
    assert (node.op, node.function, node.shape) == ("recurrent", "rnn", (50, 3, 8))
    assert [(use.name, use.layer) for use in node.uses] == [("a", 0), ("b", None), ("c", None)]
    assert graph.nodes[2].op == "linear"


def test_gates_are_counted(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        def step(state: Any, x: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(x @ p["a"] + h @ p["b"] + p["c"], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        zeros = jnp.zeros((3, 8))
        return jax.lax.scan(step, (zeros, zeros), x)[1]

    graph = traced(model, {"a": (4, 32), "b": (8, 32), "c": (32,)}, (50, 3, 4))
    assert graph.nodes[1].function == "lstm"
    assert [use.axes.blocks for use in graph.nodes[1].uses] == [(8,) * 4, (8,) * 4, ()]


def test_a_while_loop_with_weights_is_refused_by_name(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return jax.lax.while_loop(lambda x: x.sum() > 0, lambda x: x @ p["a"], x)

    with pytest.raises(NoGraphError, match="a is used inside a while loop, which shows nothing"):
        traced(model, TWO, (3, 8))


def test_a_while_loop_without_weights_is_a_view(lines: Lines) -> None:
    def model(p: Arrays, x: Any) -> Any:
        x = jax.lax.while_loop(lambda x: x.sum() > 1, lambda x: x / 2, x @ p["a"])
        return x @ p["b"]

    assert lines(model, TWO, (3, 8)) == [
        "linear a [in out] dot_general",
        "linear b [in out] dot_general",
    ]


def test_branches_are_all_followed(lines: Lines) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return jax.lax.cond(x.sum() > 0, lambda: x @ p["a"], lambda: jax.nn.relu(x @ p["b"]))

    assert lines(model, TWO, (3, 8)) == [
        "linear b [in out] dot_general",
        "pointwise relu",
        "linear a [in out] dot_general",
        "concat where",
    ]


def test_a_branch_that_is_known_is_followed_alone(traced: Traced) -> None:
    def model(p: Arrays, x: Any, which: Any) -> Any:
        return jax.lax.switch(which, [lambda: x @ p["a"], lambda: x @ p["b"]])

    assert traced(model, TWO, (3, 8), jnp.asarray(1)).unused == ("a",)


def test_calls_are_looked_into(lines: Lines) -> None:
    @jax.custom_vjp
    def scaled(x: Any) -> Any:
        return 2 * x

    scaled.defvjp(lambda x: (2 * x, None), lambda _, g: (g,))

    @jax.custom_jvp
    def squared(x: Any) -> Any:
        return x * x

    squared.defjvp(lambda p, t: (p[0] ** 2, t[0]))

    def model(p: Arrays, x: Any) -> Any:
        inner = jax.checkpoint(jax.jit(lambda x: x @ p["a"]))
        return squared(scaled(inner(x))) @ p["b"]

    assert lines(model, TWO, (3, 8)) == [
        "linear a [in out] dot_general",
        "pointwise scaled",
        "pointwise squared",
        "linear b [in out] dot_general",
    ]


def test_a_program_on_a_mesh(lines: Lines) -> None:
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec: Any = jax.sharding.PartitionSpec

    def model(p: Arrays, x: Any) -> Any:
        inner: Any = partial(
            jax.shard_map, mesh=mesh, in_specs=(spec(), spec("data")), out_specs=spec("data")
        )
        return inner(lambda w, x: jax.nn.relu(x @ w))(p["a"], x) @ p["b"]

    assert lines(model, TWO, (4, 8)) == [
        "linear a [in out] dot_general",
        "pointwise relu",
        "linear b [in out] dot_general",
    ]


def test_what_does_not_run_says_so(traced: Traced) -> None:
    with pytest.raises(FaninError, match="does not run on these inputs: TypeError: dot_general"):
        traced(lambda p, x: x @ p["a"], TWO, (3, 9))
    with pytest.raises(NoGraphError, match="asks for what a run without values does not have"):
        traced(lambda p, x: x @ p["a"] if x.sum() > 0 else x, TWO, (3, 8))
    with pytest.raises(FaninError, match="returned no array"):
        traced(lambda p, x: None, TWO, (3, 8))


def test_callbacks_with_weights_are_refused(traced: Traced) -> None:
    def model(p: Arrays, x: Any) -> Any:
        return jax.pure_callback(lambda x, w: x @ w, x, x, p["a"])

    with pytest.raises(NoGraphError, match="a is used inside a pure_callback"):
        traced(model, TWO, (3, 8))


def test_parameters_that_nothing_reads_are_unused(traced: Traced) -> None:
    assert traced(lambda p, x: x @ p["a"], TWO, (3, 8)).unused == ("b",)
