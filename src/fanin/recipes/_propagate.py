"""Propagate: second moments through a graph, and the variance that every weight needs."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fanin.graph import Graph, Node, Use, Values, having, mixture
from fanin.graph.signal import (
    Signal,
    add,
    add_apart,
    apply_pointwise,
    apply_sampled,
    centre,
    concatenate,
    drop,
    gaussian,
    largest,
    multiply,
    multiply_apart,
    normalize,
    pool,
    root_of,
    scale,
    spread,
    sum_positions,
)
from fanin.recipes._acting import acts_as, size_of
from fanin.recipes._averages import attention, quotient, softmax
from fanin.recipes._borders import Borders
from fanin.recipes._parameters import (
    APART,
    Share,
    Weight,
    apply_scale,
    apply_shift,
    linear,
    recurrent,
    table,
)


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
    weights: dict[str, Weight] = field(default_factory=dict)
    signals: list[Signal | None] = field(default_factory=list)
    asked: dict[str, list[float]] = field(default_factory=dict)  # scales, by every use of a weight
    aside: set[int] = field(default_factory=set)  # uses of weights that ask for nothing
    borders: Borders = field(default_factory=Borders.empty)
    train: bool = False  # with the statistics of batches; else batch normalization is none
    training: Sequence[Signal | None] = ()  # the signals of such a run, for one without

    def run(self) -> "Propagation":
        self.aside.update(_on_constants(self.graph))
        for position, node in enumerate(self.graph.nodes):
            inputs = [self.signals[source] for source in node.inputs]
            self.borders.follow(node, self.signals)
            step = _STEPS.get(node.op, _pass)
            with np.errstate(all="ignore"):
                signal = _check(step(self, position, node, inputs), position, node)
                self.signals.append(_credible(signal, position))
        for name, scales in self.asked.items():
            # Of a weight that is used again and again, the mean that keeps the product of all.
            # What is far from the first use, which stands nearest to the inputs, is not known.
            near = [min(max(item, scales[0] / APART), scales[0] * APART) for item in scales]
            self.weights[name] = replace(
                self.weights[name],
                scale=math.exp(sum(map(math.log, near)) / len(near)),
                uses=len(scales),
                bounded=sum(map(operator.ne, near, scales)),
            )
        return self

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

    def needs(self, name: str, weight: Weight) -> None:
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

    def acting(self, use: Use) -> Values | None:
        """The values with which a parameter acts element by element; None if unknown."""
        values = self.values.get(use.name, self.sizes.get(use.name))
        return None if values is None else acts_as(use, self.shapes, values)

    def draw(self, use: Use, position: int) -> Signal | None:
        """A parameter on its own: its known values, or normal ones of its size."""
        if use.name in self.values:
            values = self.acting(use)
            return None if values is None else spread(values, position)
        if use.through and use.name not in self.sizes:
            return None
        size = size_of(use, self.shapes, self.sizes.get(use.name, 1.0))
        return None if size is None else gaussian(size * size, position)


_NOTHING_SHARED = 0.05  # of a second moment: less is the data's, and a mean's mark says so
_MODES = 4.0  # times larger or smaller in train mode: a weight for eval mode serves both
_FAR = 100.0  # times too large is wrong, for a second moment
_UNMOVED = having("carries", "function", "norm", "affine")
_DECAYS = ("exp", "exp2", "expm1")
_LEAST = 1e-9  # second moments beyond it, or its inverse

Inputs = Sequence[Signal | None]
Step = Callable[[Propagation, int, Node, Inputs], Signal | None]


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


def _pass(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    return inputs[0] if inputs else None


def _credible(signal: Signal | None, position: int) -> Signal | None:
    """What grows without bound says nothing of a model that works: it counts as one."""
    if signal is None or _LEAST < signal.second < 1 / _LEAST:
        return signal
    if signal.second == 0:  # or so small that its square is
        return scale(signal, 0.0)
    return gaussian(1.0, position)


def _check(signal: Signal | None, position: int, node: Node) -> Signal | None:
    """What the run's own guess contradicts: steps that values decide, say, and what cancels out."""
    if signal is None or node.typical is None or signal.second < _FAR:
        return signal
    typical = node.typical()
    return signal if signal.second < _FAR * typical else gaussian(typical, position)


def _view(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    """The same values; a part of the elements is independent of the other parts."""
    shown = run.graph.see_through(position)
    if shown is None:
        return None
    signal = run.signals[shown]
    if signal is not None and node.filled is not None:  # the rest are zeros
        return scale(drop(signal, 1 - node.filled, position), node.filled)
    if signal is None or "part" not in node.flags or shown != node.inputs[0]:
        return signal
    return replace(signal, base=position)


def _input(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    return None if "integers" in node.flags else gaussian(1.0, position)


def _buffer(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    if node.square is None or not np.isfinite(node.square):
        return None
    return gaussian(node.square, position, mean=node.mean)


def _dropout(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    """As in training: what is kept is divided by the share that is kept."""
    return None if inputs[0] is None else drop(inputs[0], node.rate or 0.0, position)


def _matmul(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    a, b = inputs
    if a is None or b is None:
        return a or b
    if a.averaging or b.averaging:
        value = b if a.averaging else a
        return gaussian(value.second, position, value.share, averaged=True)
    if a.weighted or b.weighted:  # averages of products
        return gaussian(a.second * b.second, position, a.share * b.share, averaged=True)
    return gaussian((node.count or 1.0) * a.second * b.second, position, a.share * b.share)


def _apply_pointwise(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    known = [signal for signal in inputs if signal is not None]
    if known and node.sampled is not None:
        return apply_sampled(node.sampled, known[0], position)
    if len(known) < len(inputs) or node.fn is None:
        return known[0] if known else None
    if any(signal.averaging for signal in known):
        return next(signal for signal in known if signal.averaging)
    averages = quotient(run.graph, run.signals, position) if node.function == "div" else None
    return averages or apply_pointwise(node.fn, known, position)


def _add(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    shown = run.graph.see_through(position)
    if shown is not None:
        return run.signals[shown]
    mixed = _mix(run, position)
    if mixed is not None:
        return mixed
    a, b = inputs
    if a is None or b is None:  # a mask, or a buffer of unknown size
        return a or b
    if a.averaging or b.averaging:  # averages of averages
        return a if a.averaging else b
    if a.weighted and b.weighted:  # terms of one average
        return a if a.second >= b.second else b
    if "centred" in node.flags:
        return centre(a, positions=node.over == "batch")
    decays = [_is_decay(run.graph, source) for source in node.inputs]
    if any(decays) and not all(decays):  # a state that forgets as fast as it takes in
        return b if decays[0] else a
    b = scale(b, -1.0) if "difference" in node.flags else b
    join = add_apart if _at_other_positions(run, node, a, b) else add
    return join(a, b, position)


def _mix(run: Propagation, position: int) -> Signal | None:
    """t f + (1 - t) x, however it is written."""
    found = mixture(run.graph, position)
    if found is None:
        return None
    gate, new, stream = (run.signals[item] for item in (found.gate, found.new, found.stream))
    if gate is None or new is None or stream is None:
        return None
    rest = apply_pointwise(lambda t: 1 - t, (gate,), gate.base)
    return add(multiply(gate, new, position), multiply(rest, stream, -position - 1), position)


def _at_other_positions(run: Propagation, node: Node, a: Signal, b: Signal) -> bool:
    """Whether two functions of one activation meet at different positions.

    Pairs are of all positions with all, as x[:, None] with x[None], or of rows picked apart.
    """
    if a.base != b.base:
        return False
    graph, size = run.graph, math.prod(node.shape)
    outer = all(math.prod(graph.nodes[source].shape) < size for source in node.inputs)
    first, second = (_moves(graph, source) for source in node.inputs)
    return outer or first != second


def _moves(graph: Graph, position: int) -> list[int]:
    """The views that put elements in other places, between an activation and what made it."""
    found = []
    node = graph.nodes[position]
    while node.op in _UNMOVED and len(set(node.inputs)) == 1:
        found += [position] if node.op == "view" and "moved" in node.flags else []
        position = node.inputs[0]
        node = graph.nodes[position]
    return found


def _is_decay(graph: Graph, position: int) -> bool:
    """Whether a state is multiplied by an exponential, as recurrences do at every step."""
    node = graph.nodes[position]
    return node.op == "mul" and any(
        graph.nodes[_through_views(graph, source)].function in _DECAYS for source in node.inputs
    )


def _through_views(graph: Graph, position: int) -> int:
    while (shown := graph.see_through(position)) is not None:
        position = shown
    return position


def _mul(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    a, b = inputs
    if a is None or b is None:
        return a or b
    if a.averaging != b.averaging:  # weighted by a router's or an attention's averages
        return replace(b if a.averaging else a, weighted=True)
    constant = [run.graph.nodes[source].op == "buffer" for source in node.inputs]
    root = root_of(b if constant[0] else a) if any(constant) else None
    join = multiply_apart if _at_other_positions(run, node, a, b) else multiply
    return replace(join(a, b, position), root=root)


def _normalize(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    signal = inputs[0]
    if signal is None:
        return None
    if node.over == "features":
        by_deviation = "by deviation" in node.flags
        centre = "uncentred" not in node.flags and not by_deviation
        return normalize(signal, centred=centre, by_deviation=by_deviation)
    # In train mode batch normalization takes away what positions share; at first it is none in
    # eval mode. Behind a weight, whose output has size one, a plan for the one holds in the other.
    return replace(normalize(signal, centred=True), correlation=0.0) if run.train else signal


def _mean(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    """Over all positions: what they share; where that is nothing, at most the identity."""
    signal = inputs[0]
    if signal is None:
        return None
    if signal.share < _NOTHING_SHARED:
        return gaussian(signal.second, position, 1.0, averaged=True)
    # What positions share beyond their mean is the data's.
    own = signal.shared > 1.01 * signal.mean**2
    return replace(pool(signal, np.inf, position), averaged=own)


def _pool(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    if inputs[0] is None:
        return None
    return scale(pool(inputs[0], node.count or 1.0, position), node.factor or 1.0)


def _max(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    return None if inputs[0] is None else largest(inputs[0], node.count or 1.0, position)


def _sum(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    signal, count = inputs[0], node.count or 1.0
    if signal is None or signal.averaging:
        return signal
    if signal.weighted:
        return replace(signal, weighted=False)
    return sum_positions(signal, count, position)


def _concat(run: Propagation, position: int, node: Node, inputs: Inputs) -> Signal | None:
    pairs = [
        (signal, int(np.prod(run.graph.nodes[source].shape, dtype=object)))
        for signal, source in zip(inputs, node.inputs, strict=True)
        if signal is not None
    ]
    if not pairs:
        return None
    signals, sizes = zip(*pairs, strict=True)
    return concatenate(signals, [max(size, 1) for size in sizes], position)


_STEPS: dict[str, Step] = {
    "input": _input,
    "buffer": _buffer,
    "parameter": table,
    "lookup": table,
    "linear": linear,
    "scale": apply_scale,
    "dropout": _dropout,
    "shift": apply_shift,
    "matmul": _matmul,
    "attention": attention,
    "softmax": softmax,
    "pointwise": _apply_pointwise,
    "add": _add,
    "mul": _mul,
    "normalize": _normalize,
    "mean": _mean,
    "pool": _pool,
    "max": _max,
    "sum": _sum,
    "concat": _concat,
    "view": _view,
    "recurrent": recurrent,
}
