"""Rows of layers whose activation lets the variance run away, and the variances that hold it.

A layer of finite width is off its planned size by chance. GELU, SiLU and Mish at variance 1
multiply what it is off by 1.08 to 1.17, and only a normalization or a stream takes it back.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fanin.errors import FaninError
from fanin.gains import SteadyStart, steady_start
from fanin.graph import Node, Structure, Values, having
from fanin.graph.signal import MASS, Z

RUNS_AWAY = 10.0  # times what a layer is off, at the end of a row: from here on it is held
_STEP = 0.02  # of the variance
_PASSED = having("carries") | {"shift"}


class UnsteadyLayer(NamedTuple):
    """A weight, the bias added to its outputs, and the start that keeps their variance."""

    weight: int
    bias: int | None
    activation: str
    grows: float  # by which its row multiplies what is off
    start: SteadyStart


class UnsteadyRows:
    """`layers()` of all rows of a graph; a row ends at norms, sums, products and averages."""

    def __init__(self, structure: Structure) -> None:
        self._nodes, self._users = structure.graph.nodes, structure.users
        self._growths: dict[bytes, float] = {}
        self._starts: dict[bytes, SteadyStart | None] = {}

    def layers(self) -> Iterator[UnsteadyLayer]:
        grown = self._grown()
        for position, node in enumerate(self._nodes):
            if node.op != "linear" or grown[position] <= math.log(RUNS_AWAY):
                continue
            bias, function = self._behind(position)
            start = None if function is None else self._start(function)
            if function is not None and start is not None:
                name, grows = function.label or function.function, math.exp(grown[position])
                yield UnsteadyLayer(position, bias, name, grows, start)

    def _grown(self) -> list[float]:
        """For every node the logarithm of what its row grows by, up to where it ends."""
        nodes = self._nodes
        upto = [0.0] * len(nodes)
        for position, node in enumerate(nodes):
            if self._passes(node):
                upto[position] = upto[node.inputs[0]] + math.log(self._growth(node))
        for position in reversed(range(len(nodes))):
            if self._passes(nodes[position]):
                source = nodes[position].inputs[0]
                upto[source] = max(upto[source], upto[position])
        return upto

    def _passes(self, node: Node) -> bool:
        kept = node.op in _PASSED or node.op in ("linear", "pointwise")
        return kept and len(node.inputs) == 1

    def _behind(self, position: int) -> tuple[int | None, Node | None]:
        """The bias and the function behind a weight, where nothing else reads it."""
        bias = None
        while len(self._users[position]) == 1:
            position = self._users[position][0]
            node = self._nodes[position]
            if node.op == "pointwise" and self._growth(node) > 1:
                return bias, node
            if node.op == "shift" and bias is None and "units" in node.flags:
                bias = position
            elif node.op not in _PASSED:
                break
        return None, None

    def _growth(self, node: Node) -> float:
        """By which a function multiplies what its input of variance 1 is off; 1 if it is steady."""
        if node.op != "pointwise" or node.fn is None or len(node.inputs) != 1:
            return 1.0
        key = _key(node)
        if key not in self._growths:
            less, more = (_second(node, 1 + side * _STEP) for side in (-1, 1))
            known = 0 < less < math.inf and 0 < more < math.inf
            span = math.log((1 + _STEP) / (1 - _STEP))
            self._growths[key] = max(math.log(more / less) / span, 1.0) if known else 1.0
        return self._growths[key]

    def _start(self, node: Node) -> SteadyStart | None:
        assert node.fn is not None
        key = _key(node)
        if key not in self._starts:
            try:
                self._starts[key] = steady_start(node.fn)
            except FaninError:  # none holds it
                self._starts[key] = None
        return self._starts[key]


def _key(node: Node) -> bytes:
    return _values(node, 1.0).tobytes()


def _second(node: Node, variance: float) -> float:
    return float(MASS @ _values(node, variance) ** 2)


def _values(node: Node, variance: float) -> Values:
    assert node.fn is not None
    with np.errstate(all="ignore"):
        return np.asarray(node.fn(math.sqrt(variance) * Z), float)
