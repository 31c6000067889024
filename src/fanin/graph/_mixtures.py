"""Mixtures: t f + (1 - t) x with a gate t, by which highway networks and gated units pass x on."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from fanin.graph._graph import Graph, Node, Values
from fanin.graph._lines import evaluate, second_input

_POINTS = np.linspace(-8.0, 8.0, 33)  # where gates are looked at


@dataclass(frozen=True, slots=True)
class Mixture:
    """The nodes of t, f and x; either of f and x may be made of the other.

    `sums` are the additions in it, f - x among them where it is written so.
    """

    gate: int
    new: int
    stream: int
    sums: tuple[int, ...]


def mixture(graph: Graph, position: int) -> Mixture | None:
    """What an addition mixes: t f + (1 - t) x, or the same as x + t (f - x) or x - t (x - f)."""
    node = graph.nodes[position]
    if node.op != "add":
        return None
    found = (*_sums(graph, position), *_steps(graph, position))
    return next((item for item in found if _is_share(graph, item.gate)), None)


def _sums(graph: Graph, position: int) -> Iterator[Mixture]:
    """Ways to read a sum of products as t f + (1 - t) x."""
    node = graph.nodes[position]
    if "difference" in node.flags or any(graph.nodes[source].op != "mul" for source in node.inputs):
        return
    factors = (permutations(graph.nodes[source].inputs) for source in node.inputs)
    for (gate, new), (rest, stream) in product(*factors):
        if _are_complements(graph, gate, rest):
            yield Mixture(gate, new, stream, (position,))


def _steps(graph: Graph, position: int) -> Iterator[Mixture]:
    """Ways to read a sum as a step x + t (f - x)."""
    node = graph.nodes[position]
    orders = (node.inputs,) if "difference" in node.flags else permutations(node.inputs)
    for stream, step in orders:
        if graph.nodes[step].op != "mul":
            continue
        for gate, difference in permutations(graph.nodes[step].inputs):
            between = graph.nodes[difference]
            if between.op != "add" or "difference" not in between.flags:
                continue
            ends = between.inputs if "difference" in node.flags else between.inputs[::-1]
            if ends[0] == stream:
                yield Mixture(gate, ends[1], stream, (position, difference))


def _are_complements(graph: Graph, gate: int, rest: int) -> bool:
    """Whether two functions of one activation add up to one."""
    known = _values(graph, gate)
    other = _values(graph, rest)
    return any(at in known and np.allclose(known[at] + values, 1.0) for at, values in other.items())


def _is_share(graph: Graph, position: int) -> bool:
    """Whether a function's values lie between 0 and 1."""
    *_, values = _values(graph, position).values()
    return bool(np.all((values >= -1e-9) & (values <= 1 + 1e-9)))


def _values(graph: Graph, position: int) -> dict[int, Values]:
    """The values of an activation as a function of every one that it is a function of, by node."""
    found = {position: _POINTS}
    functions: list[Node] = []
    while _is_function(node := graph.nodes[position]):
        functions.append(node)
        position = node.inputs[0]
        values = _POINTS
        for function in reversed(functions):
            if function.fn is not None:
                values = evaluate(function, values)
        found[position] = values
    return found


def _is_function(node: Node) -> bool:
    """Whether a node is a function of one activation, or shows all of it in another shape."""
    if node.op == "view":
        return bool(node.inputs) and "part" not in node.flags
    return node.op == "pointwise" and node.fn is not None and not second_input(node)
