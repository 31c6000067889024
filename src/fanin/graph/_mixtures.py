"""Mixtures: t f + (1 - t) x with a gate, a parameter or a number t, that pass x on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from fanin.graph._graph import Graph, Node, Values
from fanin.graph._lines import evaluate, factor, second_input

_CLOSE = 1e-5  # of numbers that add up to one
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


@dataclass(frozen=True, slots=True)
class Mixed:
    """The nodes of f and x that a parameter or a number mixes, and the additions in it.

    `scale` is where the parameter p of x + p (f - x) acts; None in any other mix.
    """

    new: int
    stream: int
    sums: tuple[int, ...]
    scale: int | None = None


def find_mixing(graph: Graph) -> set[int]:
    """The additions by which gates and parameters mix activations: they add no branch."""
    found: set[int] = set()
    for position in range(len(graph.nodes)):
        mixed = mixture(graph, position) or find_mixed(graph, position)
        if mixed is not None:
            found.update(mixed.sums)
    return found


def find_mixed(graph: Graph, position: int) -> Mixed | None:
    """f and x, or x and f, of a sum that a parameter or a number mixes; None for another one."""
    step = find_mixed_step(graph, position)
    if step is not None:
        return step
    node = graph.nodes[position]
    if node.op != "add":
        return None
    if _adds_shares(graph, position):
        first, second = (graph.nodes[source].inputs[0] for source in node.inputs)
        return Mixed(first, second, (position,))
    for stream, scaled in _orders(node):
        share = factor(graph.nodes[scaled])
        if share is not None and 0 < share < 1:
            (between,) = graph.nodes[scaled].inputs
            new = _other_end(graph, between, stream, node)
            if new is not None:
                return Mixed(new, stream, (position, between))
    return _find_parts(graph, position)


def _find_parts(graph: Graph, position: int) -> Mixed | None:
    """A sum that is k f + (1 - k) x, with a number k."""
    node = graph.nodes[position]
    parts = [_part(graph, source) for source in node.inputs]
    if "difference" in node.flags or len(parts) < 2 or None in parts:
        return None
    (first, k, inner), (second, rest, others) = (part for part in parts if part is not None)
    whole = first != second and 0 < k < 1 and abs(k + rest - 1) < _CLOSE
    return Mixed(first, second, (position, *inner, *others)) if whole else None


def _part(graph: Graph, position: int) -> tuple[int, float, tuple[int, ...]] | None:
    """The node that k x is a part of, the number k, and the sum in it where it is x - l x."""
    node = graph.nodes[position]
    share = factor(node)
    if share is not None:
        return node.inputs[0], share, ()
    if node.op != "add" or "difference" not in node.flags or len(node.inputs) < 2:
        return None
    whole, away = node.inputs
    share = factor(graph.nodes[away])
    if share is None or graph.nodes[away].inputs[0] != whole:
        return None
    return whole, 1 - share, (position,)


def _adds_shares(graph: Graph, position: int) -> bool:
    """Whether a sum is p f + (1 - p) x, however p goes through a function."""
    node = graph.nodes[position]
    if node.op != "add" or "difference" in node.flags:
        return False
    uses = [graph.nodes[source].param for source in node.inputs]
    if any(graph.nodes[source].op != "scale" for source in node.inputs) or None in uses:
        return False
    first, second = (use for use in uses if use is not None)
    functions = [use.function for use in (first, second) if use.function is not None]
    if first.name != second.name or not functions:
        return False
    shares = [function.each(_POINTS) for function in functions if function.each is not None]
    shares += [_POINTS] * (2 - len(functions))
    return len(shares) == 2 and bool(np.allclose(shares[0] + shares[1], 1.0))


def find_mixed_step(graph: Graph, position: int) -> Mixed | None:
    """What an addition mixes by a parameter, as x + p (f - x) or x - p (x - f)."""
    node = graph.nodes[position]
    if node.op != "add":
        return None
    for stream, step in _orders(node):
        use = graph.nodes[step].param
        if graph.nodes[step].op != "scale" or use is None:
            continue
        (between,) = graph.nodes[step].inputs
        new = _other_end(graph, between, stream, node)
        if new is not None:
            return Mixed(new, stream, (position, between), step)
    return None


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
    for stream, step in _orders(node):
        if graph.nodes[step].op != "mul":
            continue
        for gate, difference in permutations(graph.nodes[step].inputs):
            new = _other_end(graph, difference, stream, node)
            if new is not None:
                yield Mixture(gate, new, stream, (position, difference))


def _orders(node: Node) -> Iterable[tuple[int, ...]]:
    """The two inputs of a sum as x and what is added to it, or taken away."""
    return (node.inputs,) if "difference" in node.flags else permutations(node.inputs)


def _other_end(graph: Graph, position: int, stream: int, step: Node) -> int | None:
    """f of f - x, or of x - f where the step is taken away; None for anything else."""
    between = graph.nodes[position]
    if between.op != "add" or len(between.inputs) < 2:
        return None
    if "difference" not in between.flags:  # as -x + f
        away = [source for source in between.inputs if _takes_away(graph, source, stream)]
        rest = [source for source in between.inputs if source not in away]
        return rest[0] if len(away) == len(rest) == 1 and "difference" not in step.flags else None
    ends = between.inputs if "difference" in step.flags else between.inputs[::-1]
    return ends[1] if ends[0] == stream else None


def _takes_away(graph: Graph, position: int, stream: int) -> bool:
    node = graph.nodes[position]
    return factor(node) == -1.0 and node.inputs[0] == stream


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
