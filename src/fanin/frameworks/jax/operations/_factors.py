"""Factors: products and quotients of two variables."""

import numpy as np

from fanin.frameworks.jax.operations import _norms
from fanin.frameworks.jax.operations._functions import apply_pointwise, combine_weights, fuse
from fanin.frameworks.jax.operations._masks import (
    drop,
    is_mask,
    note_function,
)
from fanin.frameworks.jax.operations._pairs import as_constant, join, put_in_order, show
from fanin.frameworks.jax.operations._pools import find_mean
from fanin.frameworks.jax.operations._softmax import (
    find_softmax,
)
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._statistics import note_power
from fanin.frameworks.recording._weights import ParameterTensor


def multiply(call: Call) -> TensorEntry:
    """Products and quotients."""
    divides = call.name == "div"
    of_norm = _norms.divide(call) if divides else _norms.multiply(call)
    if of_norm is not None:
        return of_norm
    first, second = put_in_order(call)
    value = call.entries[first]
    if isinstance(value, ParameterTensor):
        return combine_weights(call, first, second)
    if not isinstance(value, ActivationTensor) or (divides and first != 0):
        return apply_pointwise(call)
    number = call.number(second)
    if number == 1 and call.ins[first].shape == call.shape:
        return value
    mean = find_mean(call, value, second, divides)
    if mean is not None:
        return mean
    if number is not None or is_mask(call, first) or is_mask(call, second):
        return apply_pointwise(call)
    return _divide_by(call, value, second) if divides else _multiply_by(call, value, first, second)


def _multiply_by(call: Call, value: ActivationTensor, first: int, second: int) -> TensorEntry:
    recorder, entry = call.recorder, call.entries[second]
    if isinstance(entry, ParameterTensor):
        made = recorder.add_elementwise("scale", value, entry, call.shape)
        if recorder.nodes[value.node].op != "normalize":  # whose scale it were
            recorder.factors[made.node] = (value, entry)
        return made
    constant = as_constant(call, entry)
    if constant is None or value.node in recorder.integers:
        factor = call.activation(second)
        if recorder.twin(value.node) == recorder.twin(factor.node):
            made = recorder.emit("mul", [value, value], call.shape)
            note_power(recorder, value, made, 2.0)
            return note_function(call, made, [value], np.square)
        return fuse(call) or join(call, "mul", value, second)
    if constant.noise is not None and constant.noise.kind == "bernoulli":
        if constant.noise.divided:
            made = recorder.emit(
                "dropout", [value], call.shape, rate=constant.noise.rate, label="dropout"
            )
            return recorder.follow(value, made)
        return drop(call, first, constant.noise.rate)
    if _is_mask(constant):
        return show(call, value, "mask")
    return recorder.follow(value, join(call, "mul", value, second))


def _divide_by(call: Call, value: ActivationTensor, second: int) -> TensorEntry:
    recorder, entry = call.recorder, call.entries[second]
    if isinstance(entry, ParameterTensor):
        return recorder.add_elementwise("scale", value, entry.through("reciprocal"), call.shape)
    of_softmax = find_softmax(call, value, second)
    if of_softmax is not None:
        return of_softmax
    constant = as_constant(call, entry)
    if constant is None or value.node in recorder.integers:
        return fuse(call) or apply_pointwise(call)
    known = constant.value
    with np.errstate(all="ignore"):
        inverse = ConstantTensor(None if known is None else 1 / np.asarray(known, np.float64))
    factor = recorder.buffer(inverse, call.ins[second].shape)
    made = recorder.emit("mul", [value, factor], call.shape)
    return recorder.follow(value, made)


def _is_mask(constant: ConstantTensor) -> bool:
    known = constant.value
    if known is None:
        return constant.name == "mask"
    if np.iscomplexobj(known) or not np.size(known):
        return False
    values = np.asarray(known)
    return bool(((values == 0) | (values == 1)).all()) and not bool((values == 0).all())
