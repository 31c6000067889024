"""Seen: what a run with a model's own values, made for a plan, asks of them and of its graph."""

from collections.abc import Sequence
from typing import Any

from fanin.errors import FaninError
from fanin.graph import Graph, Node

NO_VALUES = "the model or the inputs have no values to run with."


def refuse_constant(shape: Sequence[int]) -> None:
    """FaninError for an input that is one number everywhere, as made-up ones are."""
    raise FaninError(
        f"an input of shape {tuple(shape)} holds one number alone; pass a batch of real data to "
        "have it measured."
    )


def check_alike(run: Graph, graph: Graph) -> None:
    """FaninError where a run on values showed other operations than the graph has."""
    if [_outline(node) for node in run.nodes] != [_outline(node) for node in graph.nodes]:
        raise FaninError("the run with values showed other operations than the one without.")


def _outline(node: Node) -> tuple[Any, ...]:
    """What both runs must tell alike of a node; packed blocks show to a trace alone."""
    return node.op, node.inputs, node.shape, node.param and node.param.name
