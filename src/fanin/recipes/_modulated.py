"""Modulated: weights whose outputs, in parts, scale and shift what other layers give."""

import math
from collections.abc import Collection, Iterator

import numpy as np

from fanin.graph import CARRIERS, Node, NodeSet, Structure, evaluate, having, reach

_READ = CARRIERS | having("function") | {"shift"}  # between a weight and what it modulates
_COUPLED = _READ | {"scale"}  # and between one and what it couples: a learned range of logarithms
_WIDE = 8.0  # outputs of a weight, of both signs, up to which a factor is looked at


def find_modulating(structure: Structure) -> list[int]:
    """The weights that give several parts, of which one or more multiply larger activations."""
    nodes = structure.graph.nodes
    found = []
    for position, node in enumerate(nodes):
        if node.op != "linear" or node.param is None:
            continue
        read = list(reach([position], lambda at: _readers(structure, at)))
        parts = sum("part" in nodes[at].flags for at in read)
        if parts > 1 and any(_scales(structure, at) for at in read):
            found.append(position)
    return found


def find_coupling(structure: Structure) -> Iterator[int]:
    """The weights of which a function of one part scales, and another shifts, something else."""
    for position, node in enumerate(structure.graph.nodes):
        if node.op == "linear" and node.param is not None and any(_couple(structure, position)):
            yield position


def find_flows(structure: Structure) -> set[str]:
    """Those of flows, by name: the factor is above zero, both come from one input of the model.

    What is scaled comes from no use of the same parameter, as the state of a recurrence does.
    A use that reads constants alone, as the first step of an inverse does, says nothing.
    """
    nodes = structure.graph.nodes
    inputs = structure.graph.where(lambda node: node.op == "input")
    found: dict[str, list[bool]] = {}
    for position in find_coupling(structure):
        use = nodes[position].param
        assert use is not None
        if not structure.above[position] & inputs:
            continue
        own = _find_uses(structure, use.name)
        found.setdefault(use.name, []).append(
            any(
                structure.up_to(scaled) & structure.above[position] & inputs
                and not structure.up_to(scaled) & own
                and _is_positive(structure, factor, position)
                for factor, scaled in _couple(structure, position)
            )
        )
    return {name for name, uses in found.items() if all(uses)}


def _find_uses(structure: Structure, name: str) -> NodeSet:
    return structure.graph.where(lambda node: node.param is not None and node.param.name == name)


def _couple(structure: Structure, weight: int) -> Iterator[tuple[int, int]]:
    """Functions of a part that scale, and what they scale, where another part shifts it as well.

    Either may come first: x exp(s) + t, or (x + t) sigmoid(s + 2); a mixture is neither. To be
    divided by it is to be scaled, too.
    """
    nodes, users = structure.graph.nodes, structure.users
    read = set(reach([weight], lambda at: _readers(structure, at, _COUPLED)))
    if sum(_is_half(nodes[weight], nodes[at]) for at in read) < 2:
        return
    for first, second in (("mul", "add"), ("add", "mul")):
        for at, joined in [(part, user) for part in read for user in users[part]]:
            if _joins(nodes[joined], at) != first:
                continue
            behind = list(reach([joined], lambda it: _readers(structure, it, _COUPLED)))
            ends = {user for it in behind for user in users[it] if _joins(nodes[user]) == second}
            if not structure.mixing.isdisjoint({joined, *ends}):
                continue
            parts = [part for end in ends for part in nodes[end].inputs if part in read]
            for coupled in nodes[joined].inputs:
                if coupled != at and weight not in structure.above[coupled]:
                    yield from ((at if first == "mul" else part, coupled) for part in parts)


def _joins(node: Node, part: int | None = None) -> str:
    """How a node joins two activations: a quotient with this divisor is a product."""
    quotient = node.function == "div" and len(set(node.inputs)) == 2
    return "mul" if quotient and part in (None, node.inputs[1]) else node.op


def _is_half(weight: Node, node: Node) -> bool:
    """Whether a view shows some features of a weight's output, at all positions."""
    axes = (1, -1) if "convolution" in weight.flags else (-1,)  # that of channels, or of features
    return "part" in node.flags and any(
        _count_positions(weight, axis) == _count_positions(node, axis) for axis in axes
    )


def _count_positions(node: Node, axis: int) -> float:
    return math.prod(node.shape) / max(node.shape[axis], 1) if len(node.shape) > abs(axis) else 0


def _is_positive(structure: Structure, factor: int, weight: int) -> bool:
    """Whether a function of what a weight gives is above zero, whatever that is."""
    path = list(structure.back(factor, _COUPLED))
    points = np.linspace(-_WIDE, _WIDE, 33)
    for position in reversed(path[:-1]):
        node = structure.graph.nodes[position]
        if node.op == "pointwise":
            if node.fn is None:
                return False
            points = evaluate(node, points)
    return path[-1] == weight and bool((points > 0).all())


def find_conditions(structure: Structure, modulating: list[int]) -> Iterator[int]:
    """The weights that make what modulating ones read."""
    above = {at for position in modulating for at in structure.above[position]}
    yield from (at for at in above if structure.graph.nodes[at].op == "linear")


def _readers(structure: Structure, position: int, ops: Collection[str] = _READ) -> list[int]:
    nodes = structure.graph.nodes
    return [user for user in structure.users[position] if nodes[user].op in ops]


def _scales(structure: Structure, position: int) -> bool:
    """Whether an activation multiplies one of more elements."""
    nodes = structure.graph.nodes
    size = math.prod(nodes[position].shape)
    users = (nodes[user] for user in structure.users[position])
    return any(user.op == "mul" and math.prod(user.shape) > size for user in users)
