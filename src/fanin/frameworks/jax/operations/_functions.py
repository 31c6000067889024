"""Functions: element by element, of one or more variables; of parameters they stay weights."""

from fanin.frameworks.jax.operations import _norms
from fanin.frameworks.jax.operations._labels import label_of, recognize
from fanin.frameworks.jax.operations._masks import (
    compares,
    follows,
    join_functions,
    note_function,
    real_of,
)
from fanin.frameworks.jax.operations._softmax import (
    note_exponential,
)
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._masks import inline
from fanin.frameworks.recording._masks import remember as remember_mask
from fanin.frameworks.recording._record import ActivationFormula, ActivationTensor, TensorEntry
from fanin.frameworks.recording._statistics import note_bound, note_factor, note_power, note_term
from fanin.frameworks.recording._weights import ParameterTensor

_POWERS = {"rsqrt": -0.5, "sqrt": 0.5, "square": 2.0}


def apply_pointwise(call: Call) -> TensorEntry:
    """A function of its activations; of parameters alone, a function that they go through."""
    recorder = call.recorder
    real = real_of(call)
    if not any(isinstance(call.entries[at], ActivationTensor) for at in real):
        weight = call.entries[max(real, key=lambda at: call.ins[at].size)]
        assert isinstance(weight, ParameterTensor)
        return weight.through(label_of(call))
    active = [at for at in range(len(call.entries)) if at in real or call.number(at) is None]
    given = [call.activation(at) for at in active]
    sources, fn = inline(recorder, given, call.function(active))
    sources, fn = join_functions(call, sources, fn)
    label = label_of(call)
    if len(sources) == 1 and len(active) > 1:
        fn, label = recognize(fn, label, call.outs[0].few)
    made = recorder.emit("pointwise", sources, call.shape, fn=fn, label=label)
    if compares(call) or follows(call):
        remember_mask(
            recorder, made.node, ActivationFormula(tuple(item.node for item in sources), fn)
        )
    if len(sources) == 1:
        _remember(call, sources[0], made)
        if sources[0].node in recorder.integers:
            recorder.integers.add(made.node)
    return note_function(call, made, sources, fn)


def _remember(call: Call, source: ActivationTensor, made: ActivationTensor) -> None:
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


def fuse(call: Call) -> ActivationTensor | None:
    """A sum or product of functions of one activation, as one function of it."""
    sources = [call.activation(at) for at in (0, 1)]
    apart = call.recorder.functions
    if sources[0].node == sources[1].node or not any(item.node in apart for item in sources):
        return None
    joint, fn = join_functions(call, sources, call.function([0, 1]))
    if len(joint) > 1 or call.recorder.nodes[joint[0].node].shape != call.shape:
        return None
    fn, label = recognize(fn, label_of(call), call.outs[0].few)
    made = call.recorder.emit("pointwise", joint, call.shape, fn=fn, label=label)
    return note_function(call, made, joint, fn)


def combine_weights(call: Call, first: int, second: int) -> TensorEntry:
    """A parameter with a number, a constant or another parameter: still a weight."""
    entry, other = call.entries[first], call.entries[second]
    assert isinstance(entry, ParameterTensor)
    if isinstance(other, ParameterTensor):
        if call.ins[second].size > call.ins[first].size:
            entry, other = other, entry
        names = {part.name for part in entry.parts}
        strangers = ParameterTensor(tuple(part for part in other.parts if part.name not in names))
        if strangers.parts and call.name == "mul":
            return entry.scale_by([strangers])
        if strangers.parts:
            call.activation(second)  # a node that says that it was used
    return entry.through(label_of(call))
