"""The activations that have a name, and the names that have no gain."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fanin.streams import Array

ArrayFunction = Callable[..., Any]

_erfc = np.vectorize(math.erfc, otypes=[float])

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946
_GELU_TANH = math.sqrt(2 / math.pi)


class ActivationRow(NamedTuple):
    """An activation: f and f' of (x, parameters) and where they are not smooth."""

    name: str
    function: ArrayFunction
    derivative: ArrayFunction
    kinks: tuple[float, ...] | Callable[..., tuple[float, ...]] = ()
    aliases: tuple[str, ...] = ()


def _sigmoid(x: Array) -> Array:
    return np.asarray((1 + np.tanh(x / 2)) / 2)


def _sigmoid_slope(x: Array) -> Array:
    return _sigmoid(x) * _sigmoid(-x)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _elu_slope(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0)))


def _density(x: Array) -> Array:
    return np.asarray(np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def _phi(x: Array) -> Array:
    return np.asarray(_erfc(-x / math.sqrt(2)) / 2)


def _gelu_tanh_slope(x: Array) -> Array:
    t = np.tanh(_GELU_TANH * (x + 0.044715 * x**3))
    inner = _GELU_TANH * (1 + 3 * 0.044715 * x * x)
    return np.asarray((1 + t) / 2 + x / 2 * (1 - t * t) * inner)


def _mish_slope(x: Array) -> Array:
    t = np.tanh(np.logaddexp(0, x))
    return np.asarray(t + x * (1 - t * t) * _sigmoid(x))


def _within(x: Array, low: float, high: float) -> Array:
    return np.where((x > low) & (x < high), 1.0, 0.0)


def _tanhshrink(x: Array) -> Array:
    # The difference loses its digits at small x; its series to x**15 does not.
    terms = (1 / 3, -2 / 15, 17 / 315, -62 / 2835, 1382 / 155925, -21844 / 6081075)
    square = np.minimum(x * x, 0.04)
    series = x**3 * np.polynomial.polynomial.polyval(square, (*terms, 929569 / 638512875))
    return np.where(np.abs(x) < 0.2, series, x - np.tanh(x))


def _sparse_plus(x: Array) -> Array:
    return np.where(x > 1, x, np.clip(x + 1, 0, 2) ** 2 / 4)


_ROWS = (
    ActivationRow("identity", lambda x: x, np.ones_like, aliases=("linear",)),
    ActivationRow("relu", lambda x: np.maximum(x, 0), lambda x: _within(x, 0, np.inf), (0,)),
    ActivationRow("relu6", lambda x: np.clip(x, 0, 6), lambda x: _within(x, 0, 6), (0, 6)),
    ActivationRow(
        "leaky_relu",
        lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        lambda x, negative_slope=0.01: np.where(x > 0, 1.0, negative_slope),
        (0,),
    ),
    ActivationRow(
        "prelu",
        lambda x, init=0.25: np.where(x > 0, x, init * x),
        lambda x, init=0.25: np.where(x > 0, 1.0, init),
        (0,),
    ),
    ActivationRow("elu", _elu, _elu_slope, (0,)),
    ActivationRow(
        "celu",
        lambda x, alpha=1.0: _elu(x / alpha) * alpha,
        lambda x, alpha=1.0: _elu_slope(x / alpha),
        (0,),
    ),
    ActivationRow(
        "selu",
        lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA),
        lambda x: _SELU_SCALE * _elu_slope(x, _SELU_ALPHA),
        (0,),
    ),
    ActivationRow("gelu", lambda x: x * _phi(x), lambda x: _phi(x) + x * _density(x)),
    ActivationRow(
        "gelu_tanh",
        lambda x: x / 2 * (1 + np.tanh(_GELU_TANH * (x + 0.044715 * x**3))),
        _gelu_tanh_slope,
    ),
    ActivationRow(
        "silu",
        lambda x: x * _sigmoid(x),
        lambda x: _sigmoid(x) + x * _sigmoid_slope(x),
        aliases=("swish",),
    ),
    ActivationRow("mish", lambda x: x * np.tanh(np.logaddexp(0, x)), _mish_slope),
    ActivationRow("tanh", lambda x: np.tanh(x), lambda x: 1 - np.tanh(x) ** 2),
    ActivationRow("sigmoid", _sigmoid, _sigmoid_slope),
    ActivationRow(
        "logsigmoid",
        lambda x: -np.logaddexp(0, -x),
        lambda x: _sigmoid(-x),
        aliases=("log_sigmoid",),
    ),
    ActivationRow(
        "softplus",
        lambda x, beta=1.0: np.logaddexp(0, beta * x) / beta,
        lambda x, beta=1.0: _sigmoid(beta * x),
    ),
    ActivationRow(
        "squareplus",
        lambda x, b=4.0: (x + np.sqrt(x * x + b)) / 2,
        lambda x, b=4.0: (1 + x / np.sqrt(x * x + b)) / 2,
    ),
    ActivationRow(
        "softsign",
        lambda x: x / (1 + np.abs(x)),
        lambda x: 1 / (1 + np.abs(x)) ** 2,
        (0,),
        ("soft_sign",),
    ),
    ActivationRow(
        "softshrink",
        lambda x, lambd=0.5: x - np.clip(x, -lambd, lambd),
        lambda x, lambd=0.5: 1 - _within(x, -lambd, lambd),
        lambda lambd=0.5: (-lambd, lambd),
    ),
    ActivationRow("tanhshrink", _tanhshrink, lambda x: np.tanh(x) ** 2),
    ActivationRow(
        "hardtanh",
        lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
        lambda x, min_val=-1.0, max_val=1.0: _within(x, min_val, max_val),
        lambda min_val=-1.0, max_val=1.0: (min_val, max_val),
        ("hard_tanh",),
    ),
    ActivationRow(
        "hardsigmoid",
        lambda x: np.clip(x / 6 + 0.5, 0, 1),
        lambda x: _within(x, -3, 3) / 6,
        (-3, 3),
        ("hard_sigmoid",),
    ),
    ActivationRow(
        "hardswish",
        lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x: np.where(np.abs(x) < 3, x / 3 + 0.5, x > 0),
        (-3, 3),
        ("hard_swish", "hard_silu"),
    ),
    ActivationRow(
        "hardshrink",
        lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0.0),
        lambda x, lambd=0.5: 1 - _within(x, -lambd, lambd),
        lambda lambd=0.5: (-lambd, lambd),
    ),
    ActivationRow(
        "threshold",
        lambda x, threshold, value: np.where(x > threshold, x, value),
        lambda x, threshold, value: _within(x, threshold, np.inf),
        lambda threshold, value: (threshold,),
    ),
    ActivationRow("sparse_plus", _sparse_plus, lambda x: np.clip((x + 1) / 2, 0, 1), (-1, 1)),
    ActivationRow(
        "sparse_sigmoid",
        lambda x: np.clip((x + 1) / 2, 0, 1),
        lambda x: _within(x, -1, 1) / 2,
        (-1, 1),
    ),
)

ROWS = {name: row for row in _ROWS for name in (row.name, *row.aliases)}

_MIXES = "one output depends on many inputs, so the law of one input does not give its moments"
_GATED = (
    "it multiplies one half of its input by a function of the other; "
    "take the gain of the function inside"
)
_RANDOM = "its output is random; take the gain of what it is in evaluation"
_REDUCES = "it reduces many inputs to one output"

# Why a name has no gain. The mixing and gated ones are refused as functions too, by their name.
MIXING = {
    **dict.fromkeys(
        (
            "softmax",
            "softmin",
            "softmax2d",
            "log_softmax",
            "logsoftmax",
            "gumbel_softmax",
            "standardize",
            "multiheadattention",
            "scaled_dot_product_attention",
            "dot_product_attention",
        ),
        _MIXES,
    ),
    **dict.fromkeys(("glu", "geglu", "reglu", "swiglu", "bilinear"), _GATED),
    **dict.fromkeys(("logsumexp", "logmeanexp"), _REDUCES),
    "one_hot": "it takes integers",
    "log1mexp": "it is not finite for x <= 0",
}
REFUSED = {**MIXING, **dict.fromkeys(("rrelu", "dropout"), _RANDOM)}
