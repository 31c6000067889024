"""Statistics of rows, followed so that a normalization written by hand is seen as one."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fanin.frameworks.recording._record import ActivationTensor, Recorder, Statistic

_LITTLE = 0.1  # what is added to a variance and changes nothing


def note_power(
    recorder: Recorder, source: ActivationTensor, made: ActivationTensor, power: float
) -> None:
    """Notes that a node is a power of another one."""
    if power == 2:
        recorder.squares[made.node] = source.node
    _change(recorder, source, made, power=power)


def note_factor(
    recorder: Recorder, source: ActivationTensor, made: ActivationTensor, factor: float
) -> None:
    """Notes that a node is another one times a number."""
    recorder.multiples[made.node] = source.node, factor
    _change(recorder, source, made, factor=factor)


def note_term(
    recorder: Recorder, source: ActivationTensor, made: ActivationTensor, number: float
) -> None:
    """Notes that a node is another one plus a number."""
    if abs(number) < _LITTLE:
        _change(recorder, source, made)


def note_bound(recorder: Recorder, source: ActivationTensor, made: ActivationTensor) -> None:
    """Notes that a node is another one, where that is not too small."""
    _change(recorder, source, made)


def sum_squares(
    recorder: Recorder, a: ActivationTensor, b: ActivationTensor, rows: tuple[int, ...], terms: int
) -> ActivationTensor | None:
    """The product of every row with itself, as a sum of squares; None for other factors.

    `rows` is the shape of the products, `terms` how many numbers a row has.
    """
    source = _behind_views(recorder, a.node, ("part",))
    if recorder.origin(source) != recorder.origin(_behind_views(recorder, b.node, ("part",))):
        return None
    value = ActivationTensor(source)
    shape = recorder.nodes[source].shape
    squares = recorder.emit("pointwise", [value], shape, fn=np.square, label="square")
    made = recorder.emit("sum", [squares], rows, count=float(terms), label="sum")
    recorder.statistics[made.node] = Statistic("square", source, factor=float(terms))
    return made


def _behind_views(recorder: Recorder, node: int, ends: Sequence[str] = ("part", "moved")) -> int:
    """The node whose elements, all of them, a view shows; views with one of the flags `ends` do."""
    size = math.prod(recorder.nodes[node].shape)
    while (shown := recorder.nodes[node]).op == "view" and len(shown.inputs) == 1:
        whole = math.prod(recorder.nodes[shown.inputs[0]].shape) == size
        if not whole or not shown.flags.isdisjoint(ends):
            break
        node = shown.inputs[0]
    return node


def _change(
    recorder: Recorder,
    source: ActivationTensor,
    made: ActivationTensor,
    power: float = 1,
    factor: float = 1,
) -> None:
    statistic = recorder.statistics.get(source.node)
    if statistic is not None:
        recorder.statistics[made.node] = replace(
            statistic,
            power=statistic.power * power,
            factor=statistic.factor**power * factor,
        )


def find_difference(
    recorder: Recorder, x: ActivationTensor, mean: ActivationTensor, shape: Sequence[int]
) -> ActivationTensor | None:
    """x - mean(x), or the mean of squares less the square of the mean; None for another one."""
    statistic, other = recorder.statistics.get(mean.node), recorder.statistics.get(x.node)
    if statistic is None or statistic.what != "mean":
        return None
    source = recorder.origin(statistic.source)
    if source == recorder.origin(x.node):
        made = recorder.emit(
            "add", [x, mean], shape, label="centre", over_batch=statistic.positions
        )
        recorder.centred[made.node] = x.node
        return made
    if other is None or (other.what, other.power, statistic.power) != ("square", 1.0, 2.0):
        return None
    if recorder.origin(other.source) == source:
        made = recorder.emit("add", [x, mean], shape, label="sub")
        recorder.statistics[made.node] = replace(other, what="variance")
        return made
    return None


def normalize(
    recorder: Recorder,
    x: ActivationTensor,
    root: ActivationTensor,
    shape: Sequence[int],
    divides: bool,
) -> ActivationTensor | None:
    """x over the root of its mean square, or of its variance; None where the root is another's.

    `divides` says that the root is what x is divided by, else it is its inverse.
    """
    statistic = recorder.statistics.get(root.node)
    if statistic is None or statistic.power != (0.5 if divides else -0.5):
        return None
    node, factor = x.node, 1 / statistic.factor if divides else statistic.factor
    if recorder.origin(statistic.source) != recorder.origin(node) and node in recorder.multiples:
        node, multiple = recorder.multiples[node]
        factor *= multiple
    centre = recorder.centred.get(node)
    measured = recorder.origin(statistic.source)
    own = {recorder.origin(node), recorder.origin(_behind_views(recorder, node))}
    own |= set() if centre is None else {recorder.origin(centre)}
    varies = statistic.what == "variance"
    if measured not in own and statistic.what == "square" and statistic.source in recorder.centred:
        measured, varies = recorder.origin(recorder.centred[statistic.source]), True
    if statistic.what == "mean" or measured not in own:
        return None
    label = (statistic.norm or "layer_norm") if centre is not None else "rms_norm"
    if centre is None and varies:
        label = "over_std"
    source = ActivationTensor(node if centre is None else centre)
    batch = label == "batch_norm"
    made = recorder.emit("normalize", [source], shape, label=label, over_batch=batch)
    if math.isclose(factor, 1.0, rel_tol=1e-3):
        return made
    return recorder.times(made, factor)
