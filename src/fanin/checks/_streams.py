"""Streams: residual sums, each followed from its start through all its additions."""

import math
from collections.abc import Iterator, Sequence

from fanin.graph import Node, NodeSet, Residual, Structure, having

_ON_STREAM = having("carries", "function", "norm", "affine")


def streams(nodes: Sequence[Node], structure: Structure) -> list[list[int]]:
    """For every residual stream: the node that made what it starts with, then its additions.

    A stream goes on through normalizations and functions of it alone. An addition inside of a
    branch is of a stream of its own.
    """
    stream_of: dict[int, int] = {}  # of an addition: where its stream starts
    members: dict[int, list[int]] = {}
    for position, residual in residuals(nodes, structure).items():
        start = residual.stream
        if not residual.shortcut:
            while start not in stream_of and (source := _behind(nodes[start])) is not None:
                start = source
        key = stream_of[position] = stream_of.get(start, start)
        members.setdefault(key, []).append(position)
    found = []
    for group in members.values():
        branches = [list_own_nodes(structure, structure.residuals[position]) for position in group]
        main = [position for position in group if not any(position in own for own in branches)]
        for several in (main, *([node] for node in group if node not in main)):
            start = see_through_moves(nodes, structure.residuals[several[0]].stream)
            # What a branch reads is of the stream outside, whose gradient passes the branch by.
            if several is main or any(start in own for own in branches):
                found.append([start, *several])
    return found


def residuals(nodes: Sequence[Node], structure: Structure) -> dict[int, Residual]:
    """The residual additions, without sums of layers that read one input side by side."""
    return {
        at: residual
        for at, residual in structure.residuals.items()
        if not residual.shortcut or not _side_by_side(nodes, structure, residual)
    }


def _side_by_side(nodes: Sequence[Node], structure: Structure, residual: Residual) -> bool:
    """Whether both operands have as many weights in series, however many there are in all."""
    common = structure.above[residual.stream] & structure.above[residual.branch]
    depths: dict[int, int] = {}
    for at in range(max(residual.stream, residual.branch) + 1):
        if at in structure.above[residual.node] and at not in common:
            before = max((depths.get(source, 0) for source in nodes[at].inputs), default=0)
            depths[at] = before + (nodes[at].op in having("weight"))
    return depths.get(residual.stream, 0) == depths.get(residual.branch, 0)


def list_own_nodes(structure: Structure, residual: Residual) -> NodeSet:
    """The nodes of a branch, without those of the stream that it is added to."""
    return structure.between(residual.stream, residual.branch)


def _behind(node: Node) -> int | None:
    """The node that a stream comes from, if it goes on through this one."""
    if node.op == "view" and "part" in node.flags:
        return None
    return node.inputs[0] if node.op in _ON_STREAM and len(set(node.inputs)) == 1 else None


def stream_nodes(nodes: Sequence[Node], structure: Structure) -> Iterator[int]:
    """The sums, and the operands that are streams, also before they were only moved."""
    for residual in residuals(nodes, structure).values():
        yield residual.node
        position = residual.stream
        yield position
        while nodes[position].op in ("view", "dropout") and nodes[position].inputs:
            position = nodes[position].inputs[0]
            yield position


def see_through_moves(nodes: Sequence[Node], position: int) -> int:
    """The node whose elements a node shows in other places, where it shows them all."""
    while nodes[position].op == "view" and nodes[position].inputs:
        source = nodes[position].inputs[0]
        if math.prod(nodes[source].shape) != math.prod(nodes[position].shape):
            break
        position = source
    return position
