"""Slopes: rectifiers whose slope below zero is a parameter, as one function of both."""

from collections.abc import Callable
from functools import partial

import numpy as np

from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.jax.record._record import ValuesFunction
from fanin.frameworks.recording._record import ActivationTensor
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Values

_LABEL = "prelu_kernel"  # torch's

Sloped = Callable[[Values, Values], Values]


def pick_sloped(call: Call) -> ActivationTensor | None:
    """Where a mask of x picks x, or x times a parameter; None where it picks others."""
    mask = call.recorder.masks[call.activation(0).node]
    for at, other in ((1, 2), (2, 1)):
        x, scaled = call.entries[at], call.entries[other]
        if not isinstance(x, ActivationTensor) or not isinstance(scaled, ActivationTensor):
            continue
        factors = call.recorder.factors.get(scaled.node)
        if factors is None or factors[0].node != x.node or mask.sources != (x.node,):
            continue
        return _emit(call, x, factors[1], partial(_pick, mask.fn, at == 2))
    return None


def _pick(mask: ValuesFunction, stays: bool, x: Values, slope: Values) -> Values:
    """x where the mask is as `stays` says, and its multiple elsewhere."""
    return np.where((mask(x) != 0) == stays, x, slope * x)


def _add(
    f: ValuesFunction, g: ValuesFunction, signs: tuple[float, float], x: Values, slope: Values
) -> Values:
    return np.asarray(signs[0] * f(x) + signs[1] * slope * g(x))


def add_sloped(call: Call) -> ActivationTensor | None:
    """relu(x) less a parameter times relu(-x), say; None for another sum."""
    recorder, sign = call.recorder, -1.0 if call.name == "sub" else 1.0
    for at, other in ((0, 1), (1, 0)):
        kept, scaled = call.entries[at], call.entries[other]
        if not isinstance(kept, ActivationTensor) or not isinstance(scaled, ActivationTensor):
            return None
        value, weight = recorder.factors.get(scaled.node, (None, None))
        if value is None or weight is None:
            continue
        mine, theirs = (recorder.functions.get(node, {}) for node in (kept.node, value.node))
        leaves = [leaf for leaf in mine if leaf in theirs and leaf not in (kept.node, value.node)]
        if not leaves or call.ins[at].shape != call.shape:
            continue
        signs = (1.0, sign) if other == 1 else (sign, 1.0)
        fn = partial(_add, mine[leaves[0]], theirs[leaves[0]], signs)
        return _emit(call, ActivationTensor(leaves[0]), weight, fn)
    return None


def _emit(call: Call, x: ActivationTensor, slope: ParameterTensor, fn: Sloped) -> ActivationTensor:
    recorder = call.recorder
    parameter = recorder.parameter(slope, slope.parts[0].shape)
    made = recorder.emit("pointwise", [x, parameter], call.shape, fn=fn, label=_LABEL)
    return recorder.follow(x, made)
