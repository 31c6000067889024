"""Elementwise: sums, products and functions of one or more variables, element by element."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fanin.frameworks.jax.operations import _norms
from fanin.frameworks.jax.operations._labels import find_by_values, label_of
from fanin.frameworks.jax.operations._masks import (
    compares,
    drop,
    either,
    follows,
    is_mask,
    join_functions,
    note_function,
    real_of,
    removes,
)
from fanin.frameworks.jax.operations._pools import find_mean
from fanin.frameworks.jax.operations._softmax import (
    find_log_softmax,
    find_softmax,
    note_difference,
    note_exponential,
)
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._masks import REMOVES, inline
from fanin.frameworks.recording._masks import remember as remember_mask
from fanin.frameworks.recording._record import Activation, Constant, Entry, Formula
from fanin.frameworks.recording._statistics import note_bound, note_factor, note_power, note_term
from fanin.frameworks.recording._weights import Weight

_POWERS = {"rsqrt": -0.5, "sqrt": 0.5, "square": 2.0}


def _as_constant(call: Call, entry: Entry) -> Constant | None:
    """A constant, or an activation of integers and masks, which scales nothing."""
    if isinstance(entry, Constant):
        return entry
    if isinstance(entry, Activation) and entry.node in call.recorder.integers:
        return Constant(entry.value, name="mask")
    return None


def _in_order(call: Call) -> tuple[int, int]:
    """The two arguments with a real activation first, else a weight."""

    def rank(at: int) -> int:
        entry = call.entries[at]
        if _as_constant(call, entry) is not None:
            return 3 if call.number(at) is not None else 2
        return int(isinstance(entry, Weight))

    for weight, factor in ((0, 1), (1, 0)):
        if _is_own_factor(call, weight, factor):
            return weight, factor
    return (1, 0) if rank(1) < rank(0) else (0, 1)


def _is_own_factor(call: Call, weight: int, factor: int) -> bool:
    """Whether a small variable made of parameters changes a weight, as a spectral norm does."""
    entry = call.entries[factor]
    return (
        isinstance(call.entries[weight], Weight)
        and isinstance(entry, Activation)
        and entry.node in call.recorder.parametric
        and call.ins[factor].size < call.ins[weight].size
    )


def add(call: Call) -> Entry:
    """Sums and differences."""
    negative = call.name == "sub"
    of_norm = _norms.subtract(call) if negative else _norms.add(call)
    if of_norm is not None:
        return of_norm
    of_softmax = find_log_softmax(call) if negative else None
    if of_softmax is not None:
        return of_softmax
    first, second = _in_order(call)
    value, label = call.entries[first], "sub" if negative else ""
    if isinstance(value, Weight):
        return _of_weights(call, first, second)
    if not isinstance(value, Activation):
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


def _add_to(call: Call, value: Activation, other: int, label: str = "") -> Activation:
    """An activation plus a parameter, a constant or another activation."""
    entry, shape, recorder = call.entries[other], call.shape, call.recorder
    if removes(call, other):
        return _view(call, value, "mask")
    if isinstance(entry, Weight):
        return recorder.add_elementwise("shift", value, entry, shape, label)
    constant = _as_constant(call, entry)
    if constant is None or value.node in recorder.integers:
        return _fuse(call) or _both(call, "add", value, other, label)
    known = constant.value
    if known is not None and np.size(known) and not np.iscomplexobj(known):
        if float(np.min(known)) <= REMOVES or constant.name == "mask":
            return _view(call, value, "mask")
        if not np.any(known):
            return value if recorder.nodes[value.node].shape == shape else call.view()
    elif constant.name == "mask":
        return _view(call, value, "mask")
    return recorder.follow(value, _both(call, "add", value, other, label))


def _both(call: Call, op: Any, value: Activation, other: int, label: str = "") -> Activation:
    sources = [value, call.activation(other)]
    made = call.recorder.emit(op, sources, call.shape, label=label)
    return made


def _view(call: Call, value: Activation, label: str) -> Activation:
    made = call.recorder.emit("view", [value], call.shape, label=label)
    return call.recorder.follow(value, made)


def _fuse(call: Call) -> Activation | None:
    """A sum or product of functions of one activation, as one function of it."""
    sources = [call.activation(at) for at in (0, 1)]
    apart = call.recorder.functions
    if sources[0].node == sources[1].node or not any(item.node in apart for item in sources):
        return None
    joint, fn = join_functions(call, sources, call.function([0, 1]))
    if len(joint) > 1 or call.recorder.nodes[joint[0].node].shape != call.shape:
        return None
    label = find_by_values(fn) or label_of(call)
    made = call.recorder.emit("pointwise", joint, call.shape, fn=fn, label=label)
    return note_function(call, made, joint, fn)


def multiply(call: Call) -> Entry:
    """Products and quotients."""
    divides = call.name == "div"
    of_norm = _norms.divide(call) if divides else _norms.multiply(call)
    if of_norm is not None:
        return of_norm
    first, second = _in_order(call)
    value = call.entries[first]
    if isinstance(value, Weight):
        return _of_weights(call, first, second)
    if not isinstance(value, Activation) or (divides and first != 0):
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


def _multiply_by(call: Call, value: Activation, first: int, second: int) -> Entry:
    recorder, entry = call.recorder, call.entries[second]
    if isinstance(entry, Weight):
        made = recorder.add_elementwise("scale", value, entry, call.shape)
        if recorder.nodes[value.node].op != "normalize":  # whose scale it were
            recorder.factors[made.node] = (value, entry)
        return made
    constant = _as_constant(call, entry)
    if constant is None or value.node in recorder.integers:
        factor = call.activation(second)
        if recorder.twin(value.node) == recorder.twin(factor.node):
            made = recorder.emit("mul", [value, value], call.shape)
            note_power(recorder, value, made, 2.0)
            return note_function(call, made, [value], np.square)
        return _fuse(call) or _both(call, "mul", value, second)
    if constant.noise is not None and constant.noise.kind == "bernoulli":
        if constant.noise.divided:
            made = recorder.emit(
                "dropout", [value], call.shape, rate=constant.noise.rate, label="dropout"
            )
            return recorder.follow(value, made)
        return drop(call, first, constant.noise.rate)
    if _is_mask(constant):
        return _view(call, value, "mask")
    return recorder.follow(value, _both(call, "mul", value, second))


def _divide_by(call: Call, value: Activation, second: int) -> Entry:
    recorder, entry = call.recorder, call.entries[second]
    if isinstance(entry, Weight):
        return recorder.add_elementwise("scale", value, entry.through("reciprocal"), call.shape)
    of_softmax = find_softmax(call, value, second)
    if of_softmax is not None:
        return of_softmax
    constant = _as_constant(call, entry)
    if constant is None or value.node in recorder.integers:
        return _fuse(call) or apply_pointwise(call)
    known = constant.value
    with np.errstate(all="ignore"):
        inverse = Constant(None if known is None else 1 / np.asarray(known, np.float64))
    factor = recorder.buffer(inverse, call.ins[second].shape)
    made = recorder.emit("mul", [value, factor], call.shape)
    return recorder.follow(value, made)


def _is_mask(constant: Constant) -> bool:
    known = constant.value
    if known is None:
        return constant.name == "mask"
    if np.iscomplexobj(known) or not np.size(known):
        return False
    values = np.asarray(known)
    return bool(((values == 0) | (values == 1)).all()) and not bool((values == 0).all())


def _of_weights(call: Call, first: int, second: int) -> Entry:
    """A parameter with a number, a constant or another parameter: still a weight."""
    entry, other = call.entries[first], call.entries[second]
    assert isinstance(entry, Weight)
    if isinstance(other, Weight):
        if call.ins[second].size > call.ins[first].size:
            entry, other = other, entry
        names = {part.name for part in entry.parts}
        strangers = Weight(tuple(part for part in other.parts if part.name not in names))
        if strangers.parts and call.name == "mul":
            return entry.scale_by([strangers])
        if strangers.parts:
            call.activation(second)  # a node that says that it was used
    return entry.through(label_of(call))


def apply_pointwise(call: Call) -> Entry:
    """A function of its activations; of parameters alone, a function that they go through."""
    recorder = call.recorder
    real = real_of(call)
    if not any(isinstance(call.entries[at], Activation) for at in real):
        weight = call.entries[max(real, key=lambda at: call.ins[at].size)]
        assert isinstance(weight, Weight)
        return weight.through(label_of(call))
    active = [at for at in range(len(call.entries)) if at in real or call.number(at) is None]
    given = [call.activation(at) for at in active]
    sources, fn = inline(recorder, given, call.function(active))
    sources, fn = join_functions(call, sources, fn)
    label = label_of(call)
    if len({item.node for item in sources}) == 1 and len(active) > 1:
        label = find_by_values(fn) or label
    made = recorder.emit("pointwise", sources, call.shape, fn=fn, label=label)
    if compares(call) or follows(call):
        remember_mask(recorder, made.node, Formula(tuple(item.node for item in sources), fn))
    if len(sources) == 1:
        _remember(call, sources[0], made)
        if sources[0].node in recorder.integers:
            recorder.integers.add(made.node)
    return note_function(call, made, sources, fn)


def _remember(call: Call, source: Activation, made: Activation) -> None:
    """Squares and multiples of a node, and functions of its statistics."""
    recorder = call.recorder
    numbers = [call.number(at) for at in range(len(call.entries))]
    number = next((item for item in numbers if item is not None), None)
    if call.name in _POWERS:
        note_power(recorder, source, made, _POWERS[call.name])
    elif call.name == "integer_pow":
        note_power(recorder, source, made, float(call.params["y"]))
    elif call.name == "pow" and number is not None and numbers[0] is None:
        note_power(recorder, source, made, number)
    elif call.name == "div" and number == 1 and numbers[1] is None:
        note_power(recorder, source, made, -1.0)
    elif call.name in ("mul", "div") and number and (call.name == "mul" or numbers[0] is None):
        note_factor(recorder, source, made, number if call.name == "mul" else 1 / number)
    elif call.name == "neg":
        _norms.note_negative(call, made)
    elif call.name in ("max", "min", "clamp", "abs"):
        note_bound(recorder, source, made)
    elif call.name == "add" and number is not None:
        note_term(recorder, source, made, number)
    if call.name in ("exp", "log"):
        note_exponential(call, source, made)


def extreme(call: Call) -> Entry:
    """The larger or smaller of two; with infinity it is the other."""
    for at, other in ((0, 1), (1, 0)):
        number = call.number(at)
        infinite = -np.inf if call.name == "max" else np.inf
        if number == infinite and call.ins[other].shape == call.shape:
            return call.entries[other]
    return apply_pointwise(call)


TABLE: dict[str, Callable[[Call], Entry | list[Entry]]] = {
    **dict.fromkeys(("add", "sub", "add_any", "add_jaxvals"), add),
    **dict.fromkeys(("mul", "div"), multiply),
    **dict.fromkeys(("max", "min"), extreme),
    "select_n": either,
}
