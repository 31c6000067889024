"""Inner products of two activations that are no attention: scores of pairs, tables of positions."""

from collections.abc import Iterator
from dataclasses import dataclass

from fanin.graph._graph import Graph
from fanin.graph._operations import Op, having
from fanin.graph._sets import NodeSet, reach
from fanin.graph._structure import Structure


@dataclass(frozen=True, slots=True)
class InnerProduct:
    """A node that sums `terms` products, the two activations in them, and what sizes each."""

    op: Op
    terms: float
    ends: tuple[list[int], list[int]]
    scores: bool  # whether it is the model's output, with nothing but biases and functions behind


def inner_products(graph: Graph, structure: Structure) -> Iterator[InnerProduct]:
    """Those of a graph whose two sides do not end in the same parameters."""
    outputs = _at_outputs(graph)
    for position, node in enumerate(graph.nodes):
        sides = _sides(graph, position)
        terms = node.count or 1.0
        if sides is None or terms <= 1 or structure.feeds_softmax(position):
            continue
        if any(map(structure.averages, sides)):
            continue
        first, second = map(structure.ends_at, sides)
        if not set(first) & set(second):
            yield InnerProduct(node.op, terms, (first, second), position in outputs)


def _sides(graph: Graph, position: int) -> tuple[int, int] | None:
    """The two activations of a matrix product, or of a product whose elements are summed."""
    node = graph.nodes[position]
    if node.op == "sum":
        node = graph.nodes[graph.behind(node.inputs[0])]
    if node.op not in ("matmul", "mul") or len(set(node.inputs)) != 2:
        return None
    return node.inputs[0], node.inputs[1]


def _at_outputs(graph: Graph) -> NodeSet:
    passed = having("carries", "function", "affine") | {"add"}

    def sources(position: int) -> tuple[int, ...]:
        node = graph.nodes[position]
        return node.inputs if node.op in passed else ()

    return NodeSet(reach(graph.outputs, sources))
