"""Inner products of two activations that are no attention: scores of pairs, tables of positions.

A weight that the model makes of other activations, as a hypernetwork does, or of parameters alone
is one side, too.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fanin.graph._graph import CARRIERS, Graph
from fanin.graph._operations import Op, having
from fanin.graph._sets import NodeSet, reach
from fanin.graph._structure import Structure


@dataclass(frozen=True, slots=True)
class InnerProduct:
    """A node that sums `terms` products, the two activations in them, and what sizes each."""

    op: Op
    terms: float
    sides: tuple[int, int]
    ends: tuple[list[int], list[int]]
    scores: bool  # whether it is the model's output, with nothing but biases and functions behind
    made: int | None  # which of the sides is a weight that the model makes, and the other is not


def inner_products(graph: Graph, structure: Structure) -> Iterator[InnerProduct]:
    """Those of a graph whose two sides do not end in the same parameters."""
    outputs, inputs = _at_outputs(graph), graph.where(lambda node: node.op == "input")
    for position, node in enumerate(graph.nodes):
        sides = _sides(graph, position)
        terms = node.count or 1.0
        if sides is None or terms <= 1 or structure.feeds_softmax(position):
            continue
        if any(map(structure.averages, sides)):
            continue
        first, second = map(structure.ends_at, sides)
        if not set(first) & set(second):
            made = [_is_made(structure, side, inputs) for side in sides]
            which = made.index(True) if sum(made) == 1 and node.op == "matmul" else None
            if "convolution" in node.flags:
                first = []  # a map, and no weight: the kernel is the other side
            yield InnerProduct(node.op, terms, sides, (first, second), position in outputs, which)


def _sides(graph: Graph, position: int) -> tuple[int, int] | None:
    """The two activations of a matrix product, or of a product whose elements are summed."""
    node = graph.nodes[position]
    if node.op == "sum":
        node = graph.nodes[graph.behind(node.inputs[0])]
    if node.op not in ("matmul", "mul") or len(set(node.inputs)) != 2:
        return None
    return node.inputs[0], node.inputs[1]


def _is_made(structure: Structure, side: int, inputs: NodeSet) -> bool:
    """Whether a side is a weight for the other: features of a layer become one matrix.

    All of them, or a slice, beside which the layer makes a bias. Of parameters alone, as the cores
    of a tensor train, in any way.
    """
    nodes, shape = structure.graph.nodes, structure.graph.nodes[side].shape
    path = list(structure.back(side, CARRIERS | {"shift"}))
    if nodes[path[-1]].op != "linear" or min(shape[-2:], default=0) < 2 or len(shape) < 2:
        return False
    if not structure.above[path[-1]] & inputs:
        return True
    whole = next((at for at in path if "part" in nodes[at].flags), path[-1])
    positions = {math.prod(nodes[at].shape[:-1]) for at in (whole, path[-1])}
    return nodes[whole].shape[-1] == math.prod(shape[-2:]) and positions == {math.prod(shape[:-2])}


def _at_outputs(graph: Graph) -> NodeSet:
    passed = having("carries", "function", "affine") | {"add"}

    def sources(position: int) -> tuple[int, ...]:
        node = graph.nodes[position]
        return node.inputs if node.op in passed else ()

    return NodeSet(reach(graph.outputs, sources))
