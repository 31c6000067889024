"""Streams: residual sums, each followed from its start through all its additions."""

import math
from collections.abc import Iterator, Sequence

from fanin.graph import Node, Residual, Structure, having

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
        inside = 0
        for position in group:
            inside |= own_nodes(structure, structure.residuals[position])
        main = [one for one in group if not inside >> one & 1]
        for several in (main, *([one] for one in group if one not in main)):
            start = unmoved(nodes, structure.residuals[several[0]].stream)
            # What a branch reads is of the stream outside, whose gradient passes the branch by.
            if several is main or inside >> start & 1:
                found.append([start, *several])
    return found


def residuals(nodes: Sequence[Node], structure: Structure) -> dict[int, Residual]:
    """The residual additions, without sums of layers that read one input side by side."""
    return {
        at: one
        for at, one in structure.residuals.items()
        if not one.shortcut or not _side_by_side(nodes, structure, one)
    }


def _side_by_side(nodes: Sequence[Node], structure: Structure, residual: Residual) -> bool:
    """Whether both operands have as many weights in series, however many there are in all."""
    common = structure.above[residual.stream] & structure.above[residual.branch]
    depths: dict[int, int] = {}
    for at in range(max(residual.stream, residual.branch) + 1):
        if structure.above[residual.node] >> at & 1 and not common >> at & 1:
            before = max((depths.get(one, 0) for one in nodes[at].inputs), default=0)
            depths[at] = before + (nodes[at].op in having("weight"))
    return depths.get(residual.stream, 0) == depths.get(residual.branch, 0)


def own_nodes(structure: Structure, residual: Residual) -> int:
    """The nodes of a branch, as a bit mask."""
    above = structure.above
    inside = above[residual.branch] | 1 << residual.branch
    return inside & ~(above[residual.stream] | 1 << residual.stream)


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


def unmoved(nodes: Sequence[Node], position: int) -> int:
    """The node whose elements a node shows in other places, where it shows them all."""
    while nodes[position].op == "view" and nodes[position].inputs:
        source = nodes[position].inputs[0]
        if math.prod(nodes[source].shape) != math.prod(nodes[position].shape):
            break
        position = source
    return position
