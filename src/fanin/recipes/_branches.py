"""Branches: the residual streams of a model, with the layers and the kinds of their branches."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fanin.graph import CARRIERS, NodeSet, Residual, Structure, reach, slope

_MULTIPLIED = CARRIERS | {"pointwise"}
_AFFINE = CARRIERS | {"shift"}


@dataclass(frozen=True, slots=True)
class ResidualStream:
    """A residual stream: its branches in the order of the run, and the additions of attention."""

    branches: tuple[Residual, ...]
    attentions: frozenset[int]

    @property
    def first(self) -> Residual:
        """The branch that is added first."""
        return self.branches[0]

    @property
    def last(self) -> int:
        """The node of the last addition."""
        return self.branches[-1].node

    @property
    def layers(self) -> int:
        """How many layers add to the stream: each ends with a branch that is no attention.

        Where all branches are attention, each is a layer.
        """
        return len(self.branches) - len(self.attentions) or len(self.branches)

    def layer(self, node: int) -> int:
        """The layer of an addition, counted from 1."""
        before = [item.node for item in self.branches if item.node < node]
        if len(self.attentions) < len(self.branches):
            before = [item for item in before if item not in self.attentions]
        return len(before) + 1


def find_streams(structure: Structure) -> list[ResidualStream]:
    """The residual streams of a model, in the order in which they begin."""
    groups: dict[int, list[Residual]] = {}
    for node, residual in structure.residuals.items():
        groups.setdefault(structure.chains[node].first, []).append(residual)
    return [
        ResidualStream(
            tuple(group), frozenset(item.node for item in group if _attends(structure, item))
        )
        for group in groups.values()
    ]


def find_reading(
    structure: Structure, streams: list[ResidualStream]
) -> tuple[ResidualStream, ResidualStream] | None:
    """An encoder and the decoder whose branches read it; None where no stream reads another."""
    for decoder in streams:
        for encoder in streams:
            if encoder is not decoder and _reads(structure, decoder, encoder):
                return encoder, decoder
    return None


def find_inside(structure: Structure, streams: list[ResidualStream], residual: Residual) -> NodeSet:
    """The nodes of a branch, without those of another stream that it attends to."""
    inside = structure.find_own_nodes(residual)
    for stream in streams:
        if stream.last in inside and residual.read not in structure.above[stream.last]:
            inside -= structure.up_to(stream.last)
    return inside


def find_ends(structure: Structure, residual: Residual, inside: NodeSet) -> Iterator[int]:
    """All that ends a branch: its last weights, and the scales behind them, those of norms too."""
    nodes = structure.graph.nodes

    def find_behind(position: int) -> list[int]:
        *_, source = structure.back(position, _AFFINE)
        normed = nodes[source].op == "normalize"
        return structure.ends_at(nodes[source].inputs[0] if normed else position, inside)

    def go_on(end: int) -> list[int]:
        return find_behind(nodes[end].inputs[0]) if nodes[end].op == "scale" else []

    return reach(find_behind(residual.branch), go_on)


def multiplier(structure: Structure, position: int) -> float:
    """By which number an activation was multiplied, since a weight, a norm or an addition."""
    factor = 1.0
    for node in structure.back(position, _MULTIPLIED):
        factor *= slope(structure.graph.nodes[node])
    return factor


def find_gains(structure: Structure, residual: Residual) -> dict[int, float]:
    """By which numbers a branch multiplies each of its ends on all ways: a step of time, say."""
    inside = structure.find_own_nodes(residual)

    def go_on(position: int) -> list[int]:
        return [source for source in structure.towards_ends(position) if source in inside]

    ways = sorted(reach([residual.branch], go_on), reverse=True)
    gains = dict.fromkeys(ways, 0.0) | {residual.branch: 1.0}
    for position in ways:
        for source in go_on(position):
            gains[source] += gains[position] * _gain(structure, position, source)
    return gains


def _gain(structure: Structure, position: int, source: int) -> float:
    """How large the constants are that a node multiplies an input with."""
    node = structure.graph.nodes[position]
    if node.op != "mul":
        return abs(slope(node))
    others = (structure.graph.behind(other) for other in node.inputs if other != source)
    squares = (structure.graph.nodes[other].square for other in others)  # known of buffers alone
    return math.sqrt(math.prod(square for square in squares if square))


def list_multipliers(structure: Structure, positions: Iterable[int], wanted: float) -> str:
    """The numbers that activations were multiplied by, for a note; empty where all are right."""
    shown = {round(multiplier(structure, position), 6) for position in positions}
    if all(math.isclose(each, wanted, rel_tol=1e-2) for each in shown):
        return ""
    return ", ".join(f"{each:g}" for each in sorted(shown))


def head_factor(structure: Structure, name: str) -> float:
    """By which number the outputs of a head are multiplied, what it reads included."""
    graph = structure.graph
    for head in structure.heads:
        use = graph.nodes[head].param
        if use is not None and use.name == name:
            ends = [out for out in graph.outputs if head in structure.up_to(out)]
            behind = multiplier(structure, ends[0]) if ends else 1.0
            return behind * multiplier(structure, graph.nodes[head].inputs[0])
    return 1.0


def _attends(structure: Structure, residual: Residual) -> bool:
    nodes = structure.graph.nodes
    return any(
        nodes[at].op == "attention"
        or (nodes[at].op == "matmul" and any(map(structure.averages, nodes[at].inputs)))
        for at in structure.find_own_nodes(residual)
    )


def _reads(structure: Structure, decoder: ResidualStream, encoder: ResidualStream) -> bool:
    """Whether a branch holds all of another stream, which does not begin within the branch."""
    last = encoder.last
    return any(
        last in structure.find_own_nodes(residual) and residual.read not in structure.above[last]
        for residual in decoder.branches
    )
