"""Targets: second moments of weights' outputs that the structure of a graph alone decides."""

import math
from collections.abc import Iterator

from fanin.graph import Structure, find_conditions, logits_of
from fanin.recipes._sizes import HEAD

KnownTarget = tuple[int, float, str]  # a node, the second moment of its output, and why


def find_known_targets(structure: Structure) -> Iterator[KnownTarget]:
    """Of heads, of queries and keys, and of layers that add one embedding; the last one counts."""
    for position in structure.heads:
        yield position, HEAD, "the head"
    yield from _of_logits(structure)
    yield from _of_conditions(structure)


def _of_logits(structure: Structure) -> Iterator[KnownTarget]:
    """Queries and keys such that attention logits have variance one."""
    nodes = structure.graph.nodes
    for logits in logits_of(structure):
        ends = (logits.query, logits.key)
        if all(nodes[end].op == "linear" for end in ends) and ends[0] != ends[1]:
            size = 1 / (math.sqrt(logits.terms) * abs(logits.factor or 1.0))
            if not math.isclose(size, 1.0, rel_tol=1e-6):
                for end in ends:
                    yield end, size, "attention logits get variance 1"


def _of_conditions(structure: Structure) -> Iterator[KnownTarget]:
    """Layers that add one embedding add one together, for it gets the gradients of them all."""
    for group in find_conditions(structure.graph):
        for end in group:
            yield end, 1 / len(group), f"one of {len(group)} layers that add what it reads"
