"""Borders: what convolutions read of the zeros around a map, and how positions come to differ."""

from dataclasses import dataclass

import numpy as np

from fanin.graph import Node, Values
from fanin.graph.signal import Signal

_FEW = 0.1  # of what a weight reads: fewer zeros change no weight, and he_normal() stays that


@dataclass(slots=True)
class Borders:
    """Second moments at the positions of a map, over the signal's, for every node of a run.

    Weights of mean zero sum second moments: what an output has is the mean over its kernel,
    with zeros beyond the borders. Layer by layer the centre of a small map outgrows its borders,
    so that less is lost than the first layer loses. None stands for a map of ones.
    """

    nodes: list[Node]
    maps: list[Values | None]
    parts: list[float]  # of the second moment of its input, what a node's windows read

    @classmethod
    def empty(cls) -> "Borders":
        return cls([], [], [])

    def read(self, position: int) -> float:
        """The part of the second moment of its input that a weight reads, 1 where nearly all."""
        part = self.parts[position]
        return part if 0 < part < 1 - _FEW else 1.0

    def follow(self, node: Node, signals: list[Signal | None]) -> None:
        """The map of the next node, whose inputs have these signals."""
        made = self._join(node, signals)
        part = 1.0
        if node.window is not None and 0 not in node.shape:
            size = len(node.window.kernel)
            before = self.nodes[node.inputs[0]].shape[-size:]
            known = made if made is not None and made.shape == before else np.ones(before)
            read = node.window.mean(known, node.shape[-size:])
            made = read if np.ptp(read) > 0 or read.flat[0] != 1 else None
            if node.op == "linear":  # whose weight makes up for it
                part = float(read.mean())
                made = read / part if part > 0 and np.ptp(read) > 0 else None
        elif made is not None:
            made = self._carry(made, node)
        self.nodes.append(node)
        self.maps.append(made)
        self.parts.append(part)

    def _carry(self, made: Values, node: Node) -> Values | None:
        """The map behind what is no window, whether its axes come last or before the features.

        A normalization of the features at each position leaves nothing of it.
        """
        first, last = slice(-made.ndim, None), slice(-made.ndim - 1, -1)
        if made.shape == node.shape[first]:
            return made
        if node.op in ("pool", "max") and len(node.shape) > made.ndim:
            before = self.nodes[node.inputs[0]].shape
            return _resize(made, node.shape[first if made.shape == before[first] else last])
        level = node.op == "normalize" and node.over == "features"
        return made if made.shape == node.shape[last] and not level else None

    def _join(self, node: Node, signals: list[Signal | None]) -> Values | None:
        """The maps of a node's inputs, those of one shape, in proportion to their size."""
        shapes = [values.shape for at in node.inputs if (values := self.maps[at]) is not None]
        if not shapes:
            return None
        found, total = np.zeros(shapes[0]), 0.0
        for source in node.inputs:
            values, signal = self.maps[source], signals[source]
            if values is None and self.nodes[source].shape[-found.ndim :] == found.shape:
                values = np.ones(found.shape)
            if values is not None and values.shape == found.shape:
                size = 1.0 if signal is None else max(signal.second, 1e-9)
                found, total = found + values * size, total + size
        return found / total


def _resize(values: Values, sizes: tuple[int, ...]) -> Values | None:
    """What is left of a map behind a pool; None where its positions cannot be told any more."""
    for axis, size in enumerate(sizes):
        last = values.shape[axis] - 1
        places = np.clip((np.arange(size) + 0.5) * (last + 1) / max(size, 1) - 0.5, 0, last)
        ends = [values.take(side(places).astype(int), axis) for side in (np.floor, np.ceil)]
        values = (ends[0] + ends[1]) / 2
    return values if values.size > 1 else None
