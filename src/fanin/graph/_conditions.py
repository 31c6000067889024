"""Conditions: embeddings of a whole sample, such as a time step's, that many layers add."""

import math
from collections.abc import Iterator

from fanin.graph._graph import Graph
from fanin.graph._operations import having

_MADE = having("carries", "function")


def find_conditions(graph: Graph) -> Iterator[list[int]]:
    """Groups of weights that read one embedding, each of which adds to another layer's positions.

    The gradient of the embedding is the sum of all of theirs.
    """
    groups: dict[int, dict[int, None]] = {}
    for node in graph.nodes:
        if node.op != "add":
            continue
        sizes = [math.prod(graph.nodes[source].shape) for source in node.inputs]
        if sizes[0] == sizes[1] or max(sizes) < math.prod(node.shape):  # or all pairs
            continue
        end = graph.behind(node.inputs[sizes.index(min(sizes))], (*having("carries"), "shift"))
        if graph.nodes[end].op == "linear":
            read = graph.behind(graph.nodes[end].inputs[0], _MADE)
            groups.setdefault(read, {})[end] = None
    yield from (list(group) for group in groups.values() if len(group) > 1)
