"""Elementwise: which handler translates which sum, product or choice of variables."""

from collections.abc import Callable

import numpy as np

from fanin.frameworks.jax.operations._factors import multiply
from fanin.frameworks.jax.operations._functions import apply_pointwise
from fanin.frameworks.jax.operations._masks import (
    either,
)
from fanin.frameworks.jax.operations._sums import add
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._record import TensorEntry


def extreme(call: Call) -> TensorEntry:
    """The larger or smaller of two; with infinity it is the other."""
    for at, other in ((0, 1), (1, 0)):
        number = call.number(at)
        infinite = -np.inf if call.name == "max" else np.inf
        if number == infinite and call.ins[other].shape == call.shape:
            return call.entries[other]
    return apply_pointwise(call)


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    **dict.fromkeys(("add", "sub", "add_any", "add_jaxvals"), add),
    **dict.fromkeys(("mul", "div"), multiply),
    **dict.fromkeys(("max", "min"), extreme),
    "select_n": either,
}
