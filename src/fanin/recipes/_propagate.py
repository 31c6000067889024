"""Propagate: second moments through a graph, and the variance that every weight needs."""

import math
import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fanin.graph import Graph, Node, Use, Values
from fanin.graph.signal import Signal, gaussian, scale, spread
from fanin.recipes._acting import DrawnOnce, acts_as, level_volume, size_of, stays_invertible
from fanin.recipes._averages import KnownAverages
from fanin.recipes._borders import Borders
from fanin.recipes._parameters import APART, Share, WeightScale
from fanin.recipes._steps import STEPS, carry

_MODES = 4.0  # times larger or smaller in train mode: a weight for eval mode serves both
_COMPUTABLE = 1e100  # their squares, and products of two of them
_FAR = 100.0  # times too large is wrong, for a second moment
_ELEMENTWISE = ("pointwise", "add", "mul")
_LEAST = 1e-9  # second moments beyond it, or its inverse


@dataclass
class Propagation:
    """Second moments of all activations, given the targets of weights and sizes of parameters.

    `targets` are the second moments that the outputs of `linear` nodes are to have, 1 where
    nothing is said; `shares` say it of the ends of residual branches. `sizes` are the RMS values
    of tables, tokens and shifts by name, and the values of scales. `variances` are those of
    weights that are given; the others are found and kept in `weights`. `values` are those of
    parameters that stay as they are, where they are known.
    """

    graph: Graph
    shapes: Mapping[str, tuple[int, ...]]
    targets: Mapping[int, float] = field(default_factory=dict)
    shares: Mapping[int, Share] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    variances: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, Values] = field(default_factory=dict)
    weights: dict[str, WeightScale] = field(default_factory=dict)
    signals: list[Signal | None] = field(default_factory=list)
    averages: KnownAverages = field(default_factory=dict)  # of quotients, as they are found
    asked: dict[str, list[float]] = field(default_factory=dict)  # scales, by every use of a weight
    aside: set[int] = field(default_factory=set)  # uses of weights that ask for nothing
    borders: Borders = field(default_factory=Borders.empty)
    train: bool = False  # with the statistics of batches; else batch normalization is none
    training: Sequence[Signal | None] = ()  # the signals of such a run, for one without
    measured: Mapping[int, float] = field(default_factory=dict)  # second moments that are known
    drawn: DrawnOnce = field(default_factory=DrawnOnce)  # of weights behind functions

    def run(self) -> "Propagation":
        self.aside.update(_on_constants(self.graph))
        for position, node in enumerate(self.graph.nodes):
            self.borders.follow(node, self.signals)
            step = STEPS.get(node.op, carry)
            with np.errstate(all="ignore"):
                inputs = [self._read(source, node) for source in node.inputs]
                signal = _check(step(self, position, node, inputs), position, node)
                signal = signal if _is_function(signal, position) else _credible(signal, position)
                self.signals.append(_as_measured(signal, position, self.measured))
        rows = _count_rows(self.graph)
        for name, scales in self.asked.items():
            # Of a weight that is used again and again, the mean that keeps the product of all.
            # What is far from the first use, which stands nearest to the inputs, is not known.
            near = [min(max(item, scales[0] / APART), scales[0] * APART) for item in scales]
            weight, size = self.weights[name], math.exp(sum(map(math.log, near)) / len(near))
            self.weights[name] = replace(
                weight,
                scale=size,
                # What its first use then gives.
                target=None if weight.target is None else weight.target * size / scales[0],
                uses=math.ceil(len(scales) / rows[name]),
                bounded=sum(map(operator.ne, near, scales)),
            )
        return self

    def _read(self, source: int, node: Node) -> Signal | None:
        """What a node reads; a function goes on as it is, for the next may bound it again."""
        signal = self.signals[source]
        return signal if node.op in _ELEMENTWISE else _credible(signal, source)

    def target(self, position: int) -> float:
        """The second moment that the output of a node is to have: above 0, and finite."""
        share = self.shares.get(position)
        if share is None:
            wanted = self.targets.get(position, 1.0)
            return wanted if _LEAST < wanted < 1 / _LEAST else 1.0
        # A shortcut's weight may come later; its output has second moment one. So has a stream
        # that carries nothing yet, as one that starts at zeros, once its branches are added.
        known = share.stream < len(self.signals)
        stream = self.signals[share.stream] if known else None
        second = stream.second if stream is not None and stream.second > 0 else 1.0
        wanted = share.part * second / share.factor / share.factor
        return wanted if _LEAST < wanted < 1 / _LEAST else share.part

    def needs(self, name: str, weight: WeightScale) -> None:
        """Say what a weight needs: its first use does, of those that read anything but zeros."""
        if name not in self.weights or (self.weights[name].fed == 0 and weight.fed > 0):
            self.weights[name] = weight

    def between(self, position: int, second: float) -> float:
        """A second moment for both modes: this one, or the geometric mean where they differ.

        No weight has the same output behind batch normalization of what is not of size one, and
        behind means and maxima of what it made independent: half-way both are as near as can be.
        """
        trained = self.training[position] if self.training else None
        if trained is None or trained.second <= 0 or second <= 0:
            return second
        apart = trained.second / second
        least = 1 / (2 * _MODES if trained.averaged else _MODES)
        return second if least <= apart <= _MODES else second * math.sqrt(apart)

    def variance(self, name: str) -> float:
        """The variance that a weight has by what it needs."""
        weight = self.weights[name]
        node = self.graph.nodes[weight.node]
        uses = (use for use in (node.param, *node.uses) if use is not None)
        use = next(use for use in uses if use.name == name)
        return weight.scale / use.fan_in(self.shapes[name])

    def acting(self, use: Use) -> Values | None:
        """The values with which a parameter acts element by element; None if unknown."""
        values = self.values.get(use.name, self.sizes.get(use.name))
        acting = None if values is None else acts_as(use, self.shapes, values, self.values)
        if acting is None or not stays_invertible(use, self.shapes):
            return acting
        return level_volume(acting)

    def draw(self, use: Use, position: int) -> Signal | None:
        """A parameter on its own: its known values, or normal ones of its size."""
        if use.name in self.values:
            values = self.acting(use)
            return None if values is None else spread(values, position)
        if use.through and use.name not in self.sizes:
            return None
        size = size_of(use, self.shapes, self.sizes.get(use.name, 1.0))
        return None if size is None else gaussian(size * size, position)


def _count_rows(graph: Graph) -> Counter[str]:
    """By parameter, how many weights are stacked in it, of those that act by themselves."""
    uses = (node.param for node in graph.nodes)
    return Counter(name for name, _ in {(use.name, use.row) for use in uses if use is not None})


def run_modes(
    graph: Graph, make: Callable[[bool, Mapping[str, float]], Propagation]
) -> Propagation:
    """The run in eval mode; where batches are normalized, beside one in train mode.

    `make` is asked for a propagation in train mode or not, in which some weights have variances.
    """
    run = make(False, {})
    if not any(node.op == "normalize" and node.over == "batch" for node in graph.nodes):
        return run.run()
    run.training = make(True, {}).run().signals
    run.run()
    if all(weight.alone in (None, weight.fed) for weight in run.weights.values()):
        return run
    # Weights between the modes serve each of them less: what they make in train mode is not of
    # the size that a plan for that mode alone gives it.
    again = make(False, {})
    again.training = make(True, {name: run.variance(name) for name in run.weights}).run().signals
    return again.run()


def _on_constants(graph: Graph) -> set[int]:
    """Uses of weights on constants, such as DoRA's on the identity, of weights that act on data."""
    on_data: list[bool] = []
    for node in graph.nodes:
        on_data.append(node.op == "input" or any(on_data[source] for source in node.inputs))
    uses = [
        (at, node.param.name)
        for at, node in enumerate(graph.nodes)
        if node.op == "linear" and node.param
    ]
    names = {name for at, name in uses if on_data[at]}
    return {at for at, name in uses if name in names and not on_data[at]}


def _is_function(signal: Signal | None, position: int) -> bool:
    """Whether values are a function of an earlier node's, of which squares can be computed."""
    return (
        signal is not None
        and signal.base != position
        and bool(np.abs(signal.values).max() < _COMPUTABLE)
    )


def _credible(signal: Signal | None, position: int) -> Signal | None:
    """What grows without bound says nothing of a model that works: it counts as one."""
    if signal is None or _LEAST < signal.second < 1 / _LEAST:
        return signal
    if signal.second == 0:  # or so small that its square is
        return scale(signal, 0.0)
    return gaussian(1.0, position)


def _as_measured(
    signal: Signal | None, position: int, measured: Mapping[int, float]
) -> Signal | None:
    """The signal with the second moment that a run showed; averages' weights stay what they are."""
    second = measured.get(position)
    if second is None or (signal is not None and signal.averaging):
        return signal
    if signal is None or signal.second <= 0:
        return gaussian(second, position)
    return replace(scale(signal, math.sqrt(second / signal.second)), averaged=False)


def _check(signal: Signal | None, position: int, node: Node) -> Signal | None:
    """What the run's own guess contradicts: steps that values decide, say, and what cancels out."""
    if signal is None or node.typical is None or signal.second < _FAR:
        return signal
    typical = node.typical()
    return signal if signal.second < _FAR * typical else gaussian(typical, position)
