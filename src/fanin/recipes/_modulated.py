"""Modulated: weights whose outputs, in parts, scale and shift what other layers give."""

import math
from collections.abc import Iterator

from fanin.graph import CARRIERS, Structure, having, reach

_READ = CARRIERS | having("function") | {"shift"}  # between a weight and what it modulates


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
    nodes = structure.graph.nodes
    for position, node in enumerate(nodes):
        if node.op != "linear" or node.param is None:
            continue
        read = set(reach([position], lambda at: _readers(structure, at)))
        parts = sum("part" in nodes[at].flags for at in read)
        scaled = {user for at in read for user in _multiply_others(structure, at, position)}
        behind = reach(scaled, lambda at: _readers(structure, at))
        added = {user for at in behind for user in structure.users[at]}
        shifts = {user for at in read for user in structure.users[at] if nodes[user].op == "add"}
        if parts > 1 and added & shifts:
            yield position


def _multiply_others(structure: Structure, position: int, weight: int) -> Iterator[int]:
    """The products of an activation and what does not come from this weight."""
    nodes = structure.graph.nodes
    for user in structure.users[position]:
        others = set(nodes[user].inputs) - {position}
        if nodes[user].op == "mul" and any(weight not in structure.above[at] for at in others):
            yield user


def find_conditions(structure: Structure, modulating: list[int]) -> Iterator[int]:
    """The weights that make what modulating ones read."""
    above = {at for position in modulating for at in structure.above[position]}
    yield from (at for at in above if structure.graph.nodes[at].op == "linear")


def _readers(structure: Structure, position: int) -> list[int]:
    nodes = structure.graph.nodes
    return [user for user in structure.users[position] if nodes[user].op in _READ]


def _scales(structure: Structure, position: int) -> bool:
    """Whether an activation multiplies one of more elements."""
    nodes = structure.graph.nodes
    size = math.prod(nodes[position].shape)
    users = (nodes[user] for user in structure.users[position])
    return any(user.op == "mul" and math.prod(user.shape) > size for user in users)
