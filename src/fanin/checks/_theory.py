"""Theory: what the weights' own variances and the activations let one expect along a chain."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fanin.checks._chains import GATHERS, Chains
from fanin.checks._streams import see_through_moves
from fanin.graph import Graph, Node
from fanin.graph.signal import (
    MASS,
    Signal,
    Z,
    add,
    apply_pointwise,
    concatenate,
    gaussian,
    multiply,
    scale,
)


@dataclass(frozen=True, slots=True)
class Link:
    """A weight behind another one: factors on standard deviations.

    `forward` is the RMS of its output over that of the output before it, `backward` the norm of
    the gradient at that earlier output over the one at its own.
    """

    forward: float
    backward: float


class Theory:
    """Second moments along chains, each from the RMS measured where it begins (He et al. 2015).

    A weight's output has second moment n E[W**2] E[x**2]; a gradient's squared norm grows by
    n E[W**2] E[f'**2] on its way back, n the fan-in. None where neither is known: behind weights
    that the model computes from others, say.
    """

    def __init__(
        self,
        chains: Chains,
        rms: Sequence[float | None],
        shapes: Mapping[str, tuple[int, ...]],
        sizes: Mapping[str, tuple[float, float]],
    ) -> None:
        """`sizes` are mean and RMS of the parameters by name."""
        self._chains, self._rms = chains, rms
        self._shapes, self._sizes = shapes, sizes
        self._graph: Graph = chains.graph
        self._uses = {use.node: at for at, use in enumerate(chains.uses)}
        self._starts = {use.output for use in chains.uses if not use.parents}
        self._signals: list[Signal | None] = []
        self.links: dict[int, Link] = {}  # by use of a weight
        self._gathered: dict[int, float] = {}  # by node: what an average or a maximum changes
        with np.errstate(all="ignore"):
            for position, node in enumerate(self._graph.nodes):
                self._signals.append(self._signal(position, node))

    def expect(self, use: int) -> float | None:
        """The RMS of a layer's output."""
        signal = self._signals[self._chains.uses[use].output]
        return None if signal is None else math.sqrt(signal.second)

    def forward(self, path: Sequence[int]) -> float | None:
        """The RMS of the last output of a path over that of the first."""
        return self._product(path, lambda link: link.forward)

    def backward(self, path: Sequence[int]) -> float | None:
        """The gradient's norm at the first output of a path over that at the last."""
        return self._product(path, lambda link: link.backward)

    def _product(self, path: Sequence[int], factor: Callable[[Link], float]) -> float | None:
        if any(use not in self.links for use in path[1:]):
            return None
        return math.prod(factor(self.links[use]) for use in path[1:])

    def _signal(self, position: int, node: Node) -> Signal | None:
        if position in self._starts:
            size = self._rms[position]
            known = size is not None and math.isfinite(size)
            return gaussian(size**2, position) if known and size is not None else None
        if self._chains.ends_at(position):
            return None
        inputs = [self._signals[source] for source in node.inputs]
        step = _STEPS.get(node.op)
        return None if step is None or not inputs else step(self, position, node, inputs)

    def sizes_of(self, positions: Sequence[int]) -> list[int]:
        """How many elements nodes have."""
        return [math.prod(self._graph.nodes[position].shape) for position in positions]

    def second_of(self, name: str) -> float | None:
        """The mean square of a weight's values."""
        size = self._sizes.get(name)
        return None if size is None or not math.isfinite(size[1]) else size[1] ** 2

    def linear(self, position: int, node: Node, fed: Signal | None) -> Signal | None:
        """The output of a weight, and the link to the one before it."""
        use = node.param
        place = self._chains.uses[self._uses[position]] if position in self._uses else None
        if use is None or place is None or not place.parents or fed is None or use.through:
            return None
        second = self.second_of(use.name)
        if second is None:
            return None
        gain = use.fan_in(self._shapes[use.name]) * second
        self._link(self._uses[position], gain, fed)
        return gaussian(gain * fed.second, position)

    def _link(self, use: int, gain: float, fed: Signal) -> None:
        parents = self._chains.uses[use].parents
        if len(parents) != 1:
            return
        before = self._signals[self._chains.uses[parents[0]].output]
        if before is None or before.base != fed.base or before.second <= 0:
            return
        between = self._chains.between(parents[0], use)
        theirs = math.prod(self._gathered.get(node, 1.0) for node in between)
        spread = math.sqrt(max(before.second - before.mean**2, 0.0)) * theirs
        if spread == 0:
            return
        slopes = np.gradient(fed.values, Z) / spread
        backward = math.sqrt(gain * float(MASS @ slopes**2))
        self.links[use] = Link(math.sqrt(gain * fed.second / before.second) / theirs, backward)

    def shift(self, position: int, node: Node, signal: Signal | None) -> Signal | None:
        """The output after a bias, which has a mean of its own."""
        size = self._sizes.get(node.param.name) if node.param else None
        if signal is None or size is None or not math.isfinite(size[1]):
            return None
        bias = gaussian(size[1] ** 2, -position - 1, mean=size[0])
        made = add(signal, bias, position) if size[1] > 0 else signal
        return replace(made, base=position)

    def scale(self, node: Node, signal: Signal | None) -> Signal | None:
        """The output after a scale."""
        size = self._sizes.get(node.param.name) if node.param else None
        return None if signal is None or size is None else scale(signal, size[1])

    def see(self, position: int, source: int) -> Signal | None:
        """What a node was seen to do with its input: an average, or batch statistics in eval."""
        signal = self._signals[source]
        after, before = self._rms[position], self._rms[see_through_moves(self._graph.nodes, source)]
        if signal is None or not after or not before:
            return None
        if self._graph.nodes[position].op in GATHERS:
            self._gathered[position] = after / before
        return scale(signal, after / before)

    def product(self, position: int, node: Node) -> Signal | None:
        """Two activations, or one and what no weight made."""
        made = self._chains.find_made_by_weights(node)
        if len(made) == 1:
            return self.see(position, made[0])
        a, b = (self._signals[source] for source in (node.inputs[0], node.inputs[-1]))
        return None if a is None or b is None else multiply(a, b, position)


_TheoryStep = Callable[[Theory, int, Node, list[Signal | None]], Signal | None]


def _dropout(
    theory: Theory, position: int, node: Node, inputs: list[Signal | None]
) -> Signal | None:
    """What is kept is divided by its share."""
    rate = node.rate or 0.0
    return None if inputs[0] is None or rate >= 1 else scale(inputs[0], (1 - rate) ** -0.5)


def _apply_pointwise(
    theory: Theory, position: int, node: Node, inputs: list[Signal | None]
) -> Signal | None:
    known = [signal for signal in inputs if signal is not None]
    if len(known) < len(inputs) or node.fn is None:
        return None
    made = apply_pointwise(node.fn, known, position)
    return made if np.isfinite(made.values).all() else None


def _concat(
    theory: Theory, position: int, node: Node, inputs: list[Signal | None]
) -> Signal | None:
    known = [signal for signal in inputs if signal is not None]
    if len(known) < len(inputs):
        return None
    return concatenate(known, theory.sizes_of(node.inputs), position)


def _add(theory: Theory, position: int, node: Node, inputs: list[Signal | None]) -> Signal | None:
    a, b = inputs[0], inputs[-1]
    if a is None or b is None:
        return None
    return add(a, scale(b, -1.0) if "difference" in node.flags else b, position)


_STEPS: dict[str, _TheoryStep] = {
    "linear": lambda theory, at, node, inputs: theory.linear(at, node, inputs[0]),
    "shift": lambda theory, at, node, inputs: theory.shift(at, node, inputs[0]),
    "scale": lambda theory, at, node, inputs: theory.scale(node, inputs[0]),
    **dict.fromkeys(
        ("normalize", *GATHERS), lambda theory, at, node, inputs: theory.see(at, node.inputs[0])
    ),
    "view": lambda theory, at, node, inputs: inputs[0],
    "dropout": _dropout,
    "pointwise": _apply_pointwise,
    **dict.fromkeys(("mul", "matmul"), lambda theory, at, node, inputs: theory.product(at, node)),
    "add": _add,
    "concat": _concat,
}
