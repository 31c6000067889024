"""Attending: the weights of attention, found in a graph: projections before it, and one behind."""

from collections.abc import Iterator
from dataclasses import dataclass

from fanin.graph import CARRIERS, Logits, Structure, having, logits_of, reach

# Where the way back from an attention to its projections ends.
_STOPS = having("source", "weight") | {"lookup", "attention", "softmax", "matmul"}


@dataclass(frozen=True, slots=True)
class Attention:
    """An attention with one weight, as its node, for each of its parts; `size` of its heads."""

    query: int
    key: int
    value: int
    output: int
    size: int


def find_projections(structure: Structure, side: int) -> Iterator[int]:
    """The weights that an operand of an attention comes from, norms and rotations between."""
    nodes = structure.graph.nodes

    def go_on(position: int) -> tuple[int, ...]:
        stops = nodes[position].op in _STOPS or position in structure.residuals
        return () if stops else nodes[position].inputs

    for position in reach([side], go_on):
        if nodes[position].op == "linear" and nodes[position].param is not None:
            yield position


def find_attentions(structure: Structure) -> Iterator[Attention | None]:
    """All attentions of a run; None for one whose parts are not a weight each."""
    products = list(logits_of(structure))
    for position, node in enumerate(structure.graph.nodes):
        if node.op == "attention":
            (logits,) = (item for item in products if item.node == position)
            yield _find_parts(structure, logits, node.inputs[2], position)
        elif node.op == "matmul":
            for weights, values in (node.inputs, node.inputs[::-1]):
                before = [item for item in products if item.node in structure.above[weights]]
                if before and structure.averages(weights):
                    yield _find_parts(structure, before[-1], values, position)


def _find_parts(
    structure: Structure, logits: Logits, values: int, product: int
) -> Attention | None:
    sides = (logits.query, logits.key, values)
    found = [list(find_projections(structure, side)) for side in sides]
    output = _find_output(structure, product)
    if output is None or any(len(projections) != 1 for projections in found):
        return None
    (query,), (key,), (value,) = found
    return Attention(query, key, value, output, logits.terms)


def _find_output(structure: Structure, position: int) -> int | None:
    """The one weight that reads an attention's output."""
    while len(structure.users[position]) == 1:
        (position,) = structure.users[position]
        node = structure.graph.nodes[position]
        if node.op == "linear":
            return position if node.param is not None else None
        if node.op not in CARRIERS:
            return None
    return None
