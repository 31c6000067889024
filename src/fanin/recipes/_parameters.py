"""Parameters in a propagation: what weights need, and what tables, scales and shifts give."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from fanin.graph import Graph, Node, Use, Values
from fanin.graph.signal import Signal, add, apply_pointwise, gaussian, scale, spread
from fanin.graph.tails import weigh
from fanin.recipes._acting import ActingWeight, DrawnOnce, fit_std, invert_line, power_of
from fanin.recipes._averages import InputSignals as InputSignals
from fanin.recipes._averages import KnownAverages
from fanin.recipes._borders import Borders

APART = 100.0  # times what the first use of a weight asks for: what is farther counts as this


# The second moment of a recurrent layer's state: layers of torch with gates' inputs of second
# moment one and orthogonal recurrent weights, fed noise that is new at every step (three seeds,
# widths 128 and 512; tests/recipes/test_recurrent.py measures it again).
_STATE = {"lstm": 0.053, "gru": 0.171, "rnn": 0.462}


@dataclass(frozen=True, slots=True)
class WeightScale:
    """What a weight needs: variance `scale` / fan_in gives its first output `target`."""

    node: int
    scale: float
    target: float | None  # None: not to be foreseen
    fed: float  # the second moment of what feeds it, zeros at borders left out
    averaged: bool  # by attention: the output's RMS is between 1/sqrt(T) and 1 of the target's
    alone: float | None = None  # `fed` in eval mode, where it is between that and train mode's
    read: float = 1.0  # of `fed`, what is left where a kernel reads zeros around its map
    uses: int = 1
    bounded: int = 0  # of them, those that count as APART times the first
    free: bool = False  # whatever its size, its output is the same


@dataclass(frozen=True, slots=True)
class Share:
    """The end of a residual branch: it adds `part` of the stream's second moment to it.

    `stream` is where the stream begins; `factor` is that of kept scales behind the end.
    """

    part: float
    stream: int
    factor: float = 1.0


class Run(Protocol):
    """A propagation, as far as its steps use it; `Propagation` says what is what."""

    graph: Graph
    drawn: DrawnOnce
    shapes: Mapping[str, tuple[int, ...]]
    shares: Mapping[int, Share]
    sizes: dict[str, float]
    variances: Mapping[str, float]
    values: Mapping[str, Values]
    asked: dict[str, list[float]]
    aside: set[int]
    borders: Borders
    signals: list[Signal | None]
    averages: KnownAverages
    train: bool

    def target(self, position: int) -> float:
        """The second moment that the output of a node is to have."""

    def between(self, position: int, second: float) -> float:
        """A second moment for training and eval mode."""

    def needs(self, name: str, weight: WeightScale) -> None:
        """Say what a weight needs."""

    def acting(self, use: Use) -> Values | None:
        """The values with which a parameter acts."""

    def draw(self, use: Use, position: int) -> Signal | None:
        """A parameter on its own."""


def table(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    assert node.param is not None
    return run.draw(node.param, position)


def linear(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    use = node.param
    assert use is not None
    fed = inputs[0] or gaussian(1.0, position)
    if fed.averaging:  # attention maps mixed over heads stay averages, of size one
        run.needs(use.name, WeightScale(position, 1.0, None, 1.0, False))
        return fed
    if position in run.aside:
        return gaussian(fed.second, position)
    read = run.borders.read(position)
    fed = scale(fed, math.sqrt(read))
    if use.function and use.name in run.values and (values := run.acting(use)) is not None:
        second = use.fan_in(run.shapes[use.name]) * float(np.mean(values**2)) * fed.second
        return gaussian(second, position, fed.share)
    made = _function_of_weight(run, position, use, fed) if use.function else None
    if made is not None:
        return made
    if "div" in use.through:
        return _spectral(run, position, use, fed)
    target = run.target(position)
    fan_in = use.fan_in(run.shapes[use.name])
    if use.name in run.variances:
        target = fan_in * run.variances[use.name] * fed.second
    elif fed.second > 0:
        alone = fed.second / read
        second = run.between(node.inputs[0], alone)
        run.asked.setdefault(use.name, []).append(target / (second * read))
        run.needs(use.name, WeightScale(position, 0.0, target, second, fed.averaged, alone, read))
        target *= alone / second
    else:
        run.needs(use.name, WeightScale(position, target, 0.0, 0.0, fed.averaged))
        target = 0.0
    made = gaussian(target, position, fed.share, averaged=fed.averaged)
    taps = math.prod(node.window.kernel) if node.window is not None else 1
    return weigh(fed, made, fan_in, taps, max(use.axes.groups, 1))


def _function_of_weight(run: Run, position: int, use: Use, fed: Signal) -> Signal | None:
    """A weight that acts through a function: the size that it needs, where it has an effect.

    Centred rows take the mean of their input away; positive ones add it up.
    """
    assert use.function is not None
    weight = ActingWeight(use.function, run.shapes, run.drawn, run.values)
    terms = use.fan_in(run.shapes[use.name])
    source = fed if fed.second > 0 else gaussian(1.0, position)

    def second(std: float) -> float | None:
        found = weight.rows(std, terms)
        return None if found is None else found.second(source)

    target, lecun = run.target(position), 1 / math.sqrt(terms)
    given = run.variances.get(use.name)
    size = None
    if power_of(second, lecun):  # first at a std that layers which are alike have in common
        size = fit_std(second, target, math.sqrt(target / (terms * source.second)))
    std = math.sqrt(given or 0.0) if given is not None else size or lecun
    made = weight.rows(std, terms)
    if made is None:
        return None
    out = made.second(source)
    if given is None:
        scale = std**2 * terms
        if size is not None and fed.second > 0:
            run.asked.setdefault(use.name, []).append(scale)
        free = size is None
        run.needs(use.name, WeightScale(position, scale, out, fed.second, fed.averaged, free=free))
    if fed.second <= 0:
        return gaussian(0.0, position)
    mean = fed.mean * made.total
    return gaussian(out, position, made.share(fed), mean, averaged=fed.averaged)


def _spectral(run: Run, position: int, use: Use, fed: Signal) -> Signal:
    """A weight divided by its largest singular value, about std (sqrt(fan_in) + sqrt(out))."""
    fan_in = use.fan_in(run.shapes[use.name])
    outputs = math.prod(run.shapes[use.name]) / fan_in
    second = fed.second * fan_in / (math.sqrt(fan_in) + math.sqrt(outputs)) ** 2
    weight = WeightScale(position, 1.0, second, fed.second, False, free=True)
    run.needs(use.name, weight)
    return gaussian(second, position, fed.share)


def apply_scale(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    signal, use = inputs[0], node.param
    assert use is not None
    source = run.graph.nodes[node.inputs[0]]
    if source.param is not None and "weight_norm" in source.param.through:
        return signal  # the norms of a weight are part of its size
    if position in run.shares:
        # A branch that carries nothing yet, or nothing that is known, counts as one of size one.
        second = signal.second if signal is not None and signal.second > 0 else 1.0
        wanted = math.sqrt(run.target(position) / second)
        run.sizes.setdefault(use.name, invert_line(use, run.shapes, wanted))
    values = run.acting(use)
    if signal is None or values is None:
        return signal
    if np.ptp(values) == 0:
        return scale(signal, float(values.reshape(-1)[0]))
    return apply_pointwise(np.multiply, (signal, spread(values, -position - 1)), position)


def apply_shift(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    signal, use = inputs[0], node.param
    assert use is not None
    if signal is None or not (use.name in run.sizes or use.name in run.values):
        return signal
    other = run.draw(use, -position - 1)
    if other is None or other.second == 0:
        return signal
    if np.ptp(other.values) == 0:
        return replace(signal, values=signal.values + other.mean)
    return add(signal, other, position)


def recurrent(run: Run, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    """What reads the input of the first layer gives its gates second moment one.

    Layers above pass the small state on as it is: compensated, stacks of three trained more
    slowly (docs/recipes.md).
    """
    fed = inputs[0] if inputs and inputs[0] is not None else gaussian(1.0, position)
    state = gaussian(_STATE[node.function], position, 0.5)
    for use in node.uses:
        if use.layer == 0:
            scale, second = 1 / (fed.second or 1.0), fed.second
            run.needs(use.name, WeightScale(position, scale, 1.0, second, fed.averaged))
        elif use.layer is not None:
            second = state.second
            run.needs(use.name, WeightScale(position, 1.0, second, second, False))
    return state
