"""Statistics of rows, followed so that a normalization written by hand is seen as one."""

import math
from dataclasses import replace
from typing import Any

from torch import Tensor

from fanin.frameworks.torch.record._call import Call
from fanin.frameworks.torch.record._record import Activation, Statistic


def _scalar(call: Call) -> float | None:
    for name in ("other", "exponent", "min"):
        if name in call.arguments:
            return call.number(call[name])
    return None


def remember(call: Call, source: Activation, made: Activation) -> None:
    """Squares and multiples of a node, and functions of its statistics."""
    recorder, scalar = call.recorder, _scalar(call)
    if call.name == "square" or (call.name == "pow" and scalar == 2):
        recorder.squares[made.node] = source.node
    if call.name in ("mul", "div") and scalar and call.entry(call.first) == source:
        recorder.multiples[made.node] = source.node, scalar if call.name == "mul" else 1 / scalar
    statistic = recorder.statistics.get(source.node)
    if statistic is None:
        return
    power = {"rsqrt": -0.5, "sqrt": 0.5, "reciprocal": -1.0, "square": 2.0}.get(call.name)
    if call.name == "pow" and isinstance(call["self"], Tensor):
        power = scalar
    if power is not None:
        new = (statistic.power * power, statistic.factor**power)
    elif call.name in ("mul", "div") and scalar:
        factor = scalar if call.name == "mul" else 1 / scalar
        new = (statistic.power, statistic.factor * factor)
    elif call.name in ("clamp_min", "clamp", "maximum", "abs") or (
        call.name == "add" and scalar is not None and abs(scalar) < 0.1
    ):
        new = (statistic.power, statistic.factor)
    else:
        return
    recorder.statistics[made.node] = Statistic(
        statistic.what, statistic.source, *new, statistic.positions
    )


def note_square(call: Call, source: Activation, made: Activation) -> None:
    """A product of a node with itself."""
    recorder = call.recorder
    recorder.squares[made.node] = source.node
    statistic = recorder.statistics.get(source.node)
    if statistic is not None:
        twice = replace(statistic, power=2 * statistic.power, factor=statistic.factor**2)
        recorder.statistics[made.node] = twice


def difference(call: Call, a: Any, b: Any) -> Activation | None:
    """x - mean(x), or the mean of squares less the square of the mean."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return None
    x, mean = call.entry(a), call.entry(b)
    if not isinstance(x, Activation) or not isinstance(mean, Activation):
        return None
    recorder = call.recorder
    statistic, other = recorder.statistics.get(mean.node), recorder.statistics.get(x.node)
    if statistic is None or statistic.what != "mean":
        return None
    source = recorder.twin(statistic.source)
    if source == recorder.twin(x.node):
        made = recorder.emit(
            "add", [x, mean], call.shape, label="centre", over_batch=statistic.positions
        )
        recorder.centred[made.node] = x.node
        return made
    if other is None or (other.what, other.power, statistic.power) != ("square", 1.0, 2.0):
        return None
    if recorder.twin(other.source) == source:
        made = recorder.emit("add", [x, mean], call.shape, label="sub")
        recorder.statistics[made.node] = replace(other, what="variance")
        return made
    return None


def find_norm(call: Call, a: Any, b: Any, divides: bool) -> Activation | None:
    """x over the root of its mean square, or of its variance."""
    for value, other in ((a, b),) if divides else ((a, b), (b, a)):
        if not isinstance(value, Tensor) or not isinstance(other, Tensor):
            return None
        x, root = call.entry(value), call.entry(other)
        if not isinstance(x, Activation) or not isinstance(root, Activation):
            return None
        statistic = call.recorder.statistics.get(root.node)
        if statistic is not None and statistic.power == (0.5 if divides else -0.5):
            made = _norm(call, x.node, statistic, divides)
            if made is not None:
                return made
    return None


def _norm(call: Call, node: int, statistic: Statistic, divides: bool) -> Activation | None:
    """A node, or a multiple of one, over its own statistic; None where it is another's."""
    recorder, twin = call.recorder, call.recorder.twin
    factor = 1 / statistic.factor if divides else statistic.factor
    if twin(statistic.source) != twin(node) and node in recorder.multiples:
        node, multiple = recorder.multiples[node]
        factor *= multiple
    centre = recorder.centred.get(node)
    measured, own = twin(statistic.source), {twin(node)}
    own |= set() if centre is None else {twin(centre)}
    if statistic.what == "mean" or measured not in own:
        return None
    label = "layer_norm" if centre is not None else "rms_norm"
    if centre is None and statistic.what == "variance":
        label = "over_std"
    source = Activation(node if centre is None else centre)
    made = recorder.emit("normalize", [source], call.shape, label=label)
    if math.isclose(factor, 1.0, rel_tol=1e-3):
        return made
    return recorder.times(made, factor)
