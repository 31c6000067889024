"""Statistics of rows, followed so that a normalization written by hand is seen as one."""

import math
from typing import Any

from torch import Tensor

from fanin.frameworks.torch._call import Call
from fanin.frameworks.torch._record import Activation, Statistic


def _scalar(call: Call) -> float | None:
    for name in ("other", "exponent", "min"):
        if name in call.arguments:
            return call.number(call[name])
    return None


def remember(call: Call, source: Activation, made: Activation) -> None:
    """Squares of a node, and functions of its statistics."""
    recorder, scalar = call.recorder, _scalar(call)
    if call.name == "square" or (call.name == "pow" and scalar == 2):
        recorder.squares[made.node] = source.node
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
        statistic.what, statistic.source, *new, statistic.over_batch
    )


def centred(call: Call, a: Any, b: Any) -> Activation | None:
    """x - mean(x)."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return None
    x, mean = call.entry(a), call.entry(b)
    if not isinstance(x, Activation) or not isinstance(mean, Activation):
        return None
    statistic = call.recorder.statistics.get(mean.node)
    if statistic is None or (statistic.what, statistic.source) != ("mean", x.node):
        return None
    made = call.recorder.emit("add", [x, mean], call.shape, label="centre")
    call.recorder.centred[made.node] = x.node
    return made


def normalized(call: Call, a: Any, b: Any, divides: bool) -> Activation | None:
    """x over the root of its mean square, or of its variance."""
    for value, other in ((a, b),) if divides else ((a, b), (b, a)):
        if not isinstance(value, Tensor) or not isinstance(other, Tensor):
            return None
        x, root = call.entry(value), call.entry(other)
        if not isinstance(x, Activation) or not isinstance(root, Activation):
            return None
        statistic = call.recorder.statistics.get(root.node)
        if statistic is None or statistic.power != (0.5 if divides else -0.5):
            continue
        centre = call.recorder.centred.get(x.node)
        if statistic.what == "mean" or statistic.source not in (x.node, centre):
            continue
        return _norm(call, x, centre, statistic, divides)
    return None


def _norm(
    call: Call, x: Activation, centre: int | None, statistic: Statistic, divides: bool
) -> Activation:
    source = x if centre is None else Activation(centre)
    label = "rms_norm" if centre is None else "layer_norm"
    recorder = call.recorder
    made = recorder.emit(
        "normalize", [source], call.shape, label=label, over_batch=statistic.over_batch
    )
    factor = 1 / statistic.factor if divides else statistic.factor
    if math.isclose(factor, 1.0, rel_tol=1e-3):
        return made
    return recorder.emit(
        "pointwise", [made], call.shape, fn=lambda v: v * factor, label=f"mul {factor:.6g}"
    )
