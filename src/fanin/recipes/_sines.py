"""Sines: weights whose outputs are read as sines of k z, as in SIREN."""

from collections.abc import Callable, Iterator, Sequence

from fanin.graph import CARRIERS, Graph, Node, factor, second_input

Scale = Callable[[Node], float | None]
Users = Sequence[Sequence[int]]


def sines(graph: Graph, users: Users, scale: Scale) -> Iterator[tuple[int, float]]:
    """Weights of which every output z is read as functions, a sine of k z among them, and k.

    `users` are those of the graph; `scale` is what a parameter multiplies by, where it is known.
    """
    for position, node in enumerate(graph.nodes):
        if node.op == "linear":
            factors = _factors(graph, users, scale, position, 1.0)
            if factors:
                yield position, max(factors, key=abs)


def _factors(graph: Graph, users: Users, scale: Scale, position: int, before: float) -> list[float]:
    """The factors of an activation in sines; none where it is read by anything else."""
    found = []
    for user in users[position]:
        node = graph.nodes[user]
        if node.op in (*CARRIERS, "shift"):
            step: float | None = 1.0
        elif node.op == "scale":
            step = scale(node)
        elif node.op == "pointwise" and not second_input(node):
            step = factor(node)
            if step is None:
                found.append(before if node.function in ("sin", "cos") else 0.0)
                continue
        else:
            return []
        deeper = [] if step is None else _factors(graph, users, scale, user, before * step)
        if not deeper:
            return []
        found += deeper
    return found
