"""Sums and differences of two variables."""

import numpy as np

from fanin.frameworks.jax.operations import _norms
from fanin.frameworks.jax.operations._functions import apply_pointwise, combine_weights, fuse
from fanin.frameworks.jax.operations._masks import (
    removes,
)
from fanin.frameworks.jax.operations._pairs import as_constant, join, put_in_order, show
from fanin.frameworks.jax.operations._slopes import add_sloped
from fanin.frameworks.jax.operations._softmax import (
    find_log_softmax,
    note_difference,
)
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._masks import REMOVES
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor


def add(call: Call) -> TensorEntry:
    """Sums and differences."""
    negative = call.name == "sub"
    of_norm = _norms.subtract(call) if negative else _norms.add(call)
    if of_norm is not None:
        return of_norm
    of_softmax = find_log_softmax(call) if negative else None
    if of_softmax is not None:
        return of_softmax
    sloped = add_sloped(call)
    if sloped is not None:
        return sloped
    first, second = put_in_order(call)
    value, label = call.entries[first], "sub" if negative else ""
    if isinstance(value, ParameterTensor):
        return combine_weights(call, first, second)
    if not isinstance(value, ActivationTensor):
        return apply_pointwise(call)
    number = call.number(second)
    if number == 0 and first == 0 and call.ins[0].shape == call.shape:
        return value
    if number is not None or (negative and first != 0):
        return apply_pointwise(call)
    made = _add_to(call, value, second, label)
    if negative:
        note_difference(call, made)
    return made


def _add_to(call: Call, value: ActivationTensor, other: int, label: str = "") -> ActivationTensor:
    """An activation plus a parameter, a constant or another activation."""
    entry, shape, recorder = call.entries[other], call.shape, call.recorder
    if removes(call, other):
        return show(call, value, "mask")
    if isinstance(entry, ParameterTensor):
        return recorder.add_elementwise("shift", value, entry, shape, label)
    constant = as_constant(call, entry)
    if constant is None or value.node in recorder.integers:
        return fuse(call) or join(call, "add", value, other, label)
    known = constant.value
    if known is not None and np.size(known) and not np.iscomplexobj(known):
        if float(np.min(known)) <= REMOVES or constant.name == "mask":
            return show(call, value, "mask")
        if not np.any(known):
            return value if recorder.nodes[value.node].shape == shape else call.view()
    elif constant.name == "mask":
        return show(call, value, "mask")
    return recorder.follow(value, join(call, "add", value, other, label))
