"""Programs of functions of parameters by name, and their graphs."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from fanin.frameworks.jax._program import Leaf, Program
from fanin.frameworks.jax.trace._trace import trace
from fanin.graph import Graph

Shapes = Mapping[str, tuple[int, ...]]
Traced = Callable[..., Graph]


def make_program(
    function: Callable[..., Any], shapes: Shapes, *inputs: Any, held: Mapping[str, Any]
) -> Program:
    """A function of parameters by name; `held` is what it holds beside them."""
    leaves = [Leaf(name, _abstract(shape), True, _module(name)) for name, shape in shapes.items()]
    leaves += [Leaf(name, value, False, _module(name)) for name, value in held.items()]
    names = [leaf.name for leaf in leaves]
    given = tuple(_abstract(item) if isinstance(item, tuple) else item for item in inputs)
    return Program(
        lambda values, *x: function(dict(zip(names, values, strict=True)), *x),
        tuple(leaves),
        given,
    )


def _abstract(shape: tuple[int, ...]) -> Any:
    return jax.ShapeDtypeStruct(shape, jnp.float32)  # type: ignore[no-untyped-call]


def _module(name: str) -> str:
    return name.rpartition(".")[0]


@pytest.fixture
def traced() -> Traced:
    """The graph of a function of parameters by name, for their shapes and those of its inputs."""

    def traced(
        function: Callable[..., Any],
        shapes: Shapes,
        *inputs: Any,
        held: Mapping[str, Any] | None = None,
    ) -> Graph:
        return trace(make_program(function, shapes, *inputs, held=held or {}))

    return traced


@pytest.fixture
def lines(traced: Traced) -> Callable[..., list[str]]:
    """The nodes of such a graph, without views of it and their positions."""

    def lines(*given: Any, held: Mapping[str, Any] | None = None) -> list[str]:
        graph = traced(*given, held=held)
        shown = [node for node in graph.nodes if node.op not in ("view", "input")]
        words = [str(node).split("[", 1) for node in shown]
        return [f"{op} {rest.split(']', 1)[1].strip()}".strip() for op, rest in words]

    return lines
