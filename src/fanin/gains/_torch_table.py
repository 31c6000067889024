"""torch's own gains, the constants of torch.nn.init.calculate_gain."""

import math
from typing import Any

from fanin._expression import parse_expression
from fanin.errors import FaninError, as_number, quote, suggestion

_ONE = ("linear", "sigmoid", *(f"conv{n}d" for n in (1, 2, 3)))
_ONE += tuple(f"conv_transpose{n}d" for n in (1, 2, 3))
_CONSTANTS = {
    **dict.fromkeys(_ONE, 1.0),
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def torch_gain(f: Any) -> float:
    """The constant of a name, such as "tanh" or "leaky_relu(0.2)"."""
    if not isinstance(f, str):
        raise FaninError(f"torch's gains are for names; the activation is {quote(f)}.")
    name, positional, keywords = parse_expression(f, "activation", "'tanh' or 'leaky_relu(0.2)'")
    given = [*positional, *keywords.values()]
    if name == "leaky_relu" and len(given) <= 1 and set(keywords) <= {"negative_slope"}:
        slope = as_number(given[0]) if given else 0.01
        if math.isfinite(slope):
            return math.sqrt(2 / (1 + slope * slope))
    elif name in _CONSTANTS and not given:
        return _CONSTANTS[name]
    elif name not in _CONSTANTS:
        raise FaninError(f"torch has no gain of {name!r}{suggestion(name, torch_names())}")
    raise FaninError(f"torch has no gain of {quote(f)}: its parameters are not those of {name}.")


def torch_names() -> tuple[str, ...]:
    """The names that torch has a gain for."""
    return (*_CONSTANTS, "leaky_relu")
