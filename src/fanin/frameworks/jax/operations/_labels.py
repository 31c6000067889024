"""Labels: functions under the names that people, and torch, call them by."""

from collections.abc import Sequence

import numpy as np
from scipy import special

from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.jax.record._record import ValuesFunction
from fanin.graph import Values

# Jitted functions of jax.nn, and primitives of lax, that have another name in torch.
_NAMES = {
    "add_any": "add",
    "clip": "clamp",
    "hard_sigmoid": "hardsigmoid",
    "hard_silu": "hardswish",
    "hard_swish": "hardswish",
    "hard_tanh": "hardtanh -1 1",
    "integer_pow": "pow",
    "log_sigmoid": "log_sigmoid_forward",
    "logistic": "sigmoid",
    "max": "maximum",
    "min": "minimum",
    "relu6": "hardtanh 0 6",
    "selu": "elu 1.67326 1.0507 1",
    "select_n": "where",
    "soft_sign": "softsign",
    "softplus": "softplus 1 20",
    "swish": "silu",
}
_ENDS = {"elu": " 1 1"}  # numbers that torch has and jax does not

_POINTS = np.linspace(-8.0, 8.0, 65)
_CLOSE, _CLOSE_IN_FEW = 1e-5, 0.01  # what a function that is known may be off by at these


def _gelu(x: Values) -> Values:
    return np.asarray(x * special.ndtr(x))


def _gelu_tanh(x: Values) -> Values:
    return np.asarray(x * (1 + np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2)


# Functions that are known by their values, where a program shows no name of them.
_KNOWN: tuple[tuple[str, ValuesFunction], ...] = (
    ("gelu none", _gelu),
    ("gelu tanh", _gelu_tanh),
    ("silu", lambda x: np.asarray(x * special.expit(x))),
    ("relu", lambda x: np.maximum(x, 0)),
    ("softplus 1 20", lambda x: np.logaddexp(x, 0)),
    ("mish", lambda x: np.asarray(x * np.tanh(np.logaddexp(x, 0)))),
    ("hardswish", lambda x: np.asarray(x * np.clip(x + 3, 0, 6) / 6)),
    ("sigmoid", lambda x: np.asarray(special.expit(x))),
    ("elu 1 1 1", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    ("leaky_relu 0.01", lambda x: np.where(x > 0, x, 0.01 * x)),
    ("hardsigmoid", lambda x: np.clip(x + 3, 0, 6) / 6),
)


def label_of(call: Call) -> str:
    """The name of a primitive with the numbers among its arguments."""
    numbers = [call.number(at) for at in range(len(call.entries))]
    given = [number for number in numbers if number is not None]
    if call.name == "integer_pow":
        given = [float(call.params["y"])]
    return name_function(call.name, given)


def name_function(name: str, numbers: Sequence[float]) -> str:
    """A function's name with its numbers, as torch has it where that has one."""
    if name in _NAMES and " " in _NAMES[name]:
        return _NAMES[name]
    words = [_NAMES.get(name, name), *(f"{number:.6g}" for number in numbers)]
    return " ".join(words) + _ENDS.get(name, "")


def recognize(fn: ValuesFunction, label: str, few: bool = False) -> tuple[ValuesFunction, str]:
    """A function of one activation that has a name, by what it gives, exactly, and its name.

    `few` says that its own numbers have few bits. Another one is as it is, under this label.
    """
    with np.errstate(all="ignore"):
        values = np.broadcast_to(fn(_POINTS), _POINTS.shape)
    near = [float(np.abs(values - function(_POINTS)).max()) for _, function in _KNOWN]
    best = int(np.argmin(np.nan_to_num(near, nan=np.inf)))
    name, known = _KNOWN[best]
    return (known, name) if near[best] < (_CLOSE_IN_FEW if few else _CLOSE) else (fn, label)
