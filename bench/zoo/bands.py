"""How far from its plan chance may take every node of a run: by width, and by averages."""

import math
from collections.abc import Sequence

from fanin.checks._chains import width
from fanin.checks._width import band
from fanin.graph import Graph, Node


def finite_width(nodes: Sequence[Node], train: bool) -> list[float]:
    """The band of every node, along its path since the last normalization.

    Batch normalization is none in eval mode.
    """
    betas: list[float] = []
    for node in nodes:
        beta = max((betas[source] for source in _find_carried(node, nodes)), default=0.0)
        if node.op == "linear":
            beta += 1 / width(node)
        if node.op == "normalize" and (train or node.over == "features"):
            beta = 0.0
        betas.append(beta)
    return [band(beta) for beta in betas]


def count_averaged(nodes: Sequence[Node], train: bool) -> list[float]:
    """For every node, over how many positions attention or a mean averaged what feeds it."""
    graph, counts = Graph(tuple(nodes), ()), list[float]()
    for node in nodes:
        count = max((counts[source] for source in _find_carried(node, nodes)), default=1.0)
        if node.op in ("matmul", "mean") or _sums_weighted(graph, node):
            count *= node.count or 1.0
        elif node.op == "attention":
            count *= nodes[node.inputs[1]].shape[-2]
        elif node.op == "softmax" or (
            node.op == "normalize" and (train or node.over == "features")
        ):
            count = 1.0
        counts.append(count)
    return counts


def _sums_weighted(graph: Graph, node: Node) -> bool:
    """Whether a sum is one of products with what a softmax gives."""
    if node.op != "sum":
        return False
    product = graph.nodes[graph.behind(node.inputs[0])]
    return product.op == "mul" and any(
        graph.nodes[graph.behind(source)].op == "softmax" for source in product.inputs
    )


def _find_carried(node: Node, nodes: Sequence[Node]) -> tuple[int, ...]:
    """The inputs, without what only gates or weighs the others: its noise is bounded."""
    if node.op == "attention":
        return node.inputs[2:3]
    if node.op == "mul" and len({math.prod(nodes[source].shape) for source in node.inputs}) > 1:
        return (max(node.inputs, key=lambda source: math.prod(nodes[source].shape)),)
    return node.inputs
