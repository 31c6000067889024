"""Tree: rules by the kind of a parameter, which the module tree tells without a run."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fanin.errors import FaninError
from fanin.gains import gain
from fanin.initializers import (
    Initializer,
    constant,
    forget_gate,
    normal,
    ones,
    orthogonal,
    variance_scaling,
    zeros,
)
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.recipes._digits import round_size
from fanin.recipes._made import same
from fanin.recipes._sizes import TABLE

NORMS = "the norms of a frozen weight, kept"
FACTORS = "orthogonal, as what is made of a frozen weight or its inputs, kept"
AS_MADE = "the constant that the model was made with"
AS_MEANT = "far from zero, or alike in rows or steps, as no weight is drawn; kept as made"
_LSTM_GATES = 4


def by_kind(param: Param) -> Choice | None:
    """The rule of a parameter's kind; None for "magnitude" (see `magnitude`) and what is unknown.

    weight, direction: normal of variance 1 / (E f(z)**2 * fan_in), f the activation before it;
    the size of a direction has no effect on the model, but on its learning rate. table: the RMS
    of `auto`'s tables. recurrent: orthogonal, each gate. bias, shift: zero, an LSTM's forget
    gate one. What the constructor made constant stays, but for weights.
    """
    match param.kind:
        case "weight" | "direction":
            chosen = variance_scaling(activation_scale(param), "fan_in", "normal")
            return Choice(chosen, param.kind, after_activation(param))
        case "table" | "bias" | "shift" if param.constant:
            return Choice(same(param.constant), param.kind, AS_MADE)
        case "table" | "other" if param.constant is not None:
            role = "table" if param.kind == "table" else "constant of the layer"
            return Choice(same(param.constant), role, AS_MADE)
        case "table":
            return Choice(normal(std=TABLE), "table", f"RMS {TABLE:g}")
        case "recurrent":
            return Choice(orthogonal(), "recurrent", "every gate keeps the length of the state")
        case "bias" if (opened := open_forget_gate(param)) is not None:
            return Choice(opened, "bias", "the forget gate starts open")
        case "bias":
            return Choice(zeros(), "bias", "biases start at zero")
        case "shift":
            return Choice(zeros(), "shift", "shifts start at zero")
        case "norms":
            return Choice(None, "magnitude", NORMS)
        case "factor":
            return Choice(None, "adapter", FACTORS)
        case "scale":
            value = 1.0 if param.constant is None else param.constant
            return Choice(same(value), "scale", "the identity" if value == 1 else AS_MADE)
    return None


def open_forget_gate(param: Param) -> Initializer | None:
    """Ones for the forget gate of an LSTM; None for a bias that is not that gate's.

    A bias holds all gates (input, forget, cell, output) or one of them.
    """
    if param.gate == "forget":
        return ones()
    return forget_gate() if opens_packed(param) else None


def opens_packed(param: Param) -> bool:
    """Whether a bias is that of all gates of an LSTM: of torch's two, the one of the inputs."""
    return param.kind == "bias" and len(param.axes.blocks) == _LSTM_GATES


def activation_gain(param: Param) -> float:
    """1 / sqrt(E f(z)**2) of the activation before a weight; 1 where none is known."""
    return round_size(_gain(param.activation))


def activation_scale(param: Param) -> float:
    """The square of that gain: variance scale / fan_in keeps the second moment at one."""
    return round_size(_gain(param.activation) ** 2)


@lru_cache(maxsize=64)  # adapters give the same function to all parameters behind it
def _gain(activation: Callable[..., Any] | None) -> float:
    if activation is None:
        return 1.0
    try:
        return gain(activation)
    except FaninError:  # zero, random or unbounded: no scale follows from it
        return 1.0


def after_activation(param: Param) -> str:
    """How a reason names the activation."""
    if param.activation is None:
        return "no activation is known before it"
    name = getattr(param.activation, "label", type(param.activation).__name__)
    return f"after {name}, gain {activation_gain(param):.4g}"


def magnitude(param: Param, direction: Param, effective: Choice) -> Choice:
    """The norms that give the effective weight the size that its initializer has by itself.

    A norm is the root of the sum of squares over the elements that share it.
    """
    assert effective.initializer is not None
    std = effective.initializer.std(direction.shape, direction.axes)
    size = math.sqrt(math.prod(direction.shape) / max(math.prod(param.shape), 1)) * std
    value = round_size(size)
    why = f"so that the weight's RMS is {std:.4g}"
    return Choice(constant(value) if value != 1 else ones(), "magnitude", why)
