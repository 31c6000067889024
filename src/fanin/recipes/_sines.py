"""Sines: weights whose outputs are read as sines of k z, as in SIREN."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from fanin.graph import (
    CARRIERS,
    Graph,
    Node,
    Structure,
    evaluate,
    factor,
    having,
    second_input,
)
from fanin.graph.signal import MASS, Z
from fanin.recipes._targets import KnownTarget

_FUNCTIONS = having("carries", "function")

SineScale = Callable[[Node], float | None]
Users = Sequence[Sequence[int]]


def sines(graph: Graph, users: Users, scale: SineScale) -> Iterator[tuple[int, float]]:
    """Weights of which every output z is read as functions, a sine of k z among them, and k.

    `users` are those of the graph; `scale` is what a parameter multiplies by, where it is known.
    """
    for position, node in enumerate(graph.nodes):
        if node.op == "linear":
            factors = _factors(graph, users, scale, position, 1.0)
            if factors:
                yield position, max(factors, key=abs)


def find_sine_targets(
    structure: Structure, shapes: Mapping[str, tuple[int, ...]], scale: SineScale
) -> Iterator[KnownTarget]:
    """SIREN's sizes of weights whose outputs z go through sin(k z) (Sitzmann et al. 2020)."""
    graph = structure.graph
    for position, k in sines(graph, structure.users, scale):
        use = graph.nodes[position].param
        if not 1 < abs(k) < math.inf or use is None:
            continue
        if structure.reads_input(position):  # U(-1/n, 1/n): k says which frequencies
            target = 1 / (3 * use.fan_in(shapes[use.name]))
            yield position, target, f"{k:.4g} z in a sine, the first: variance 1 / (3 n)"
        else:
            yield position, 1 / k / k, f"{k:.4g} z in a sine gets variance 1"


def _factors(
    graph: Graph, users: Users, scale: SineScale, position: int, before: float
) -> list[float]:
    """The factors of an activation in sines; none where it is read by anything else.

    Layers that modulate add to it, and multiply it by what is mostly a number.
    """
    found = []
    for user in users[position]:
        node = graph.nodes[user]
        if node.op in (*CARRIERS, "shift"):
            step: float | None = 1.0
        elif node.op == "add":  # a shift that is computed
            step = 1.0
        elif node.op == "mul" and len(set(node.inputs)) == 2:
            (gate,) = set(node.inputs) - {position}
            step = _size_of_gate(graph, gate)
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


def _size_of_gate(graph: Graph, position: int) -> float | None:
    """The RMS of a function of a normal activation that is mostly a number; None of others."""
    functions = []
    while (node := graph.nodes[position]).inputs and node.op in _FUNCTIONS:
        if second_input(node):
            return None
        functions += [node] if node.fn is not None else []
        position = node.inputs[0]
    values = Z
    for node in reversed(functions):
        values = evaluate(node, values)
    second = float(MASS @ values**2)
    mostly = math.isfinite(second) and float(MASS @ values) ** 2 > second / 2
    return math.sqrt(second) if mostly else None
