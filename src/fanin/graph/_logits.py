"""Logits: the products of queries and keys that a softmax turns into the weights of averages."""

from collections.abc import Iterator
from dataclasses import dataclass

from fanin.graph._lines import slope
from fanin.graph._operations import having
from fanin.graph._structure import Structure

_BEHIND = having("carries", "function") | {"shift"}  # between a projection and its product


@dataclass(frozen=True, slots=True)
class Logits:
    """Attention logits: `terms` products are summed, times `factor`; q and k as nodes."""

    node: int
    query: int
    key: int
    terms: int
    factor: float


def logits_of(structure: Structure) -> Iterator[Logits]:
    """All of a graph, in the order of the run."""
    nodes = structure.graph.nodes
    for position, node in enumerate(nodes):
        if node.op == "attention":
            terms = nodes[node.inputs[0]].shape[-1]
            factor = terms**-0.5 if node.factor is None else node.factor
            query, key, *_ = node.inputs
            yield _product(structure, position, query, key, terms, factor)
        elif node.op == "softmax":
            yield from _find_products(structure, position)


def _find_products(structure: Structure, softmax: int) -> Iterator[Logits]:
    nodes = structure.graph.nodes
    position, factor = nodes[softmax].inputs[0], 1.0
    while True:
        node = nodes[position]
        if node.op == "matmul":
            query, key = node.inputs
            yield _product(structure, position, query, key, int(node.count or 1), factor)
            return
        if node.op == "add":  # a mask or a position bias beside the product
            products = [source for source in node.inputs if _is_product(structure, source)]
            if not products:
                return
            position = products[0]
        elif node.op in _BEHIND | {"mul"} and node.inputs:
            factor *= slope(node)
            position = node.inputs[0]
        else:
            return


def _is_product(structure: Structure, position: int) -> bool:
    path = structure.back(position, _BEHIND | {"mul"})
    return any(structure.graph.nodes[at].op in ("matmul", "add") for at in path)


def _product(
    structure: Structure, node: int, query: int, key: int, terms: int, factor: float
) -> Logits:
    ends = []
    for side in (query, key):
        for position in structure.back(side, _BEHIND):
            factor *= slope(structure.graph.nodes[position])
        ends.append(position)
    return Logits(node, ends[0], ends[1], terms, factor)
