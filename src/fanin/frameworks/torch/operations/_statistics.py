"""Statistics of rows, followed so that a normalization written by hand is seen as one."""

from typing import Any

from torch import Tensor

from fanin.frameworks.recording._record import ActivationTensor
from fanin.frameworks.recording._statistics import (
    find_difference,
    normalize,
    note_bound,
    note_factor,
    note_power,
    note_term,
)
from fanin.frameworks.torch.record._call import Call

_POWERS = {"rsqrt": -0.5, "sqrt": 0.5, "reciprocal": -1.0, "square": 2.0}


def _scalar(call: Call) -> float | None:
    for name in ("other", "exponent", "min"):
        if name in call.arguments:
            return call.number(call[name])
    return None


def remember(call: Call, source: ActivationTensor, made: ActivationTensor) -> None:
    """Squares and multiples of a node, and functions of its statistics."""
    recorder, scalar = call.recorder, _scalar(call)
    power = _POWERS.get(call.name)
    if call.name == "pow" and isinstance(call["self"], Tensor):
        power = scalar
    if power is not None:
        note_power(recorder, source, made, power)
    elif call.name in ("mul", "div") and scalar:
        if call.entry(call.first) == source:
            note_factor(recorder, source, made, scalar if call.name == "mul" else 1 / scalar)
    elif call.name in ("clamp_min", "clamp", "maximum", "abs"):
        note_bound(recorder, source, made)
    elif call.name == "add" and scalar is not None:
        note_term(recorder, source, made, scalar)


def find_deviation(call: Call, a: Any, b: Any) -> ActivationTensor | None:
    """x - mean(x), or the mean of squares less the square of the mean."""
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        return None
    x, mean = call.entry(a), call.entry(b)
    if not isinstance(x, ActivationTensor) or not isinstance(mean, ActivationTensor):
        return None
    return find_difference(call.recorder, x, mean, call.shape)


def find_norm(call: Call, a: Any, b: Any, divides: bool) -> ActivationTensor | None:
    """x over the root of its mean square, or of its variance."""
    for value, other in ((a, b),) if divides else ((a, b), (b, a)):
        if not isinstance(value, Tensor) or not isinstance(other, Tensor):
            return None
        x, root = call.entry(value), call.entry(other)
        if not isinstance(x, ActivationTensor) or not isinstance(root, ActivationTensor):
            return None
        made = normalize(call.recorder, x, root, call.shape, divides)
        if made is not None:
            return made
    return None
