"""Norms: how libraries write them, with scales note_factor into deviations, and running statistics.

A norm is (x - m) s + b or x s + (b - m s), where s is the inverse of a deviation times a
parameter; m and the deviation are of x, or they are held by the model.
"""

from dataclasses import replace
from typing import Any

from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.jax.record._record import Normed, Normer, Offset, Root, State
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.recording._statistics import find_difference, normalize, note_factor
from fanin.frameworks.recording._weights import ParameterTensor

_LITTLE = 0.1  # what is added to a variance and changes nothing
_KEEP = frozenset(
    (
        *("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "convert_element_type"),
        *("stop_gradient", "copy", "max", "min", "clamp", "select_n"),
    )
)


def _root(call: Call, at: int, divides: bool = False) -> Root | None:
    """The inverse deviation that an argument is; `divides`: that it is the deviation of."""
    entry, recorder = call.entries[at], call.recorder
    power = 0.5 if divides else -0.5
    if isinstance(entry, State):
        return Root(entry.leaf) if entry.power == power and entry.offset is None else None
    if isinstance(entry, Normer):
        return None if divides else entry.root
    if not isinstance(entry, ActivationTensor):
        return None
    statistic = recorder.statistics.get(entry.node)
    if statistic is not None and statistic.power == power and statistic.what != "mean":
        return Root(recorder.origin(entry.node))
    return None if divides else recorder.roots.get(entry.node)


def _mean(call: Call, at: int) -> tuple[int | str, float] | None:
    """What an argument is the mean of, and its sign."""
    entry = call.entries[at]
    if isinstance(entry, State):
        return (entry.leaf, entry.sign) if entry.power == 1 and entry.offset is None else None
    found = (
        call.recorder.statistics.get(entry.node) if isinstance(entry, ActivationTensor) else None
    )
    if found is None or found.what != "mean" or found.power != 1:
        return None
    return call.recorder.origin(found.source), found.factor


def _offset(call: Call, at: int) -> Offset | None:
    entry = call.entries[at]
    if isinstance(entry, (State, Normer)):
        return entry.offset
    return call.recorder.offsets.get(entry.node) if isinstance(entry, ActivationTensor) else None


def multiply(call: Call) -> TensorEntry | None:
    """A product that belongs to a norm; None for another one."""
    for at, other in ((0, 1), (1, 0)):
        root, entry = _root(call, at), call.entries[other]
        if root is None:
            continue
        if isinstance(entry, ParameterTensor) and not isinstance(entry, Normer):
            return _scale(call, at, root, entry)
        mean = _mean(call, other)
        if mean is not None and _belong(call, mean[0], root):
            return _centre(call, at, other, Offset(mean[0], root, mean[1]))
        if isinstance(entry, ActivationTensor):
            made = _norm(call, entry, at, root, divides=False)
            if made is not None:
                return made
    return None


def _belong(call: Call, mean: int | str, root: Root) -> bool:
    """Whether a mean and a deviation are of one activation, or both held."""
    if isinstance(root.of, str) or isinstance(mean, str):
        return isinstance(root.of, str) and isinstance(mean, str)
    recorder = call.recorder
    return recorder.origin(recorder.statistics[root.of].source) == mean


def divide(call: Call) -> TensorEntry | None:
    """A quotient that is a norm; None for another one."""
    entry, root = call.entries[0], _root(call, 1, divides=True)
    if root is None or not isinstance(entry, ActivationTensor):
        return None
    return _norm(call, entry, 1, root, divides=True)


def _scale(call: Call, at: int, root: Root, scale: ParameterTensor) -> TensorEntry:
    """A norm's own scale on the inverse deviation."""
    own = replace(root, scales=(*root.scales, scale))
    entry = call.entries[at]
    if isinstance(entry, ActivationTensor):
        made = call.recorder.add_elementwise("scale", entry, scale, call.shape)
        call.recorder.roots[made.node] = own
        return made
    return Normer(scale.through("mul").parts, root=own)


def _centre(call: Call, at: int, other: int, offset: Offset) -> TensorEntry | None:
    """A mean times the inverse deviation."""
    entry, recorder = call.entries[at], call.recorder
    if isinstance(entry, ActivationTensor):
        sources = [call.activation(other), entry]
        made = recorder.emit("mul", sources, call.shape)
        recorder.offsets[made.node] = offset
        return made
    if isinstance(entry, Normer):
        return Normer(entry.through("mul").parts, offset=offset)
    if isinstance(entry, State):
        return State(name=entry.name, offset=offset)
    return None


def _norm(
    call: Call, x: ActivationTensor, at: int, root: Root, divides: bool
) -> ActivationTensor | None:
    recorder, entry = call.recorder, call.entries[at]
    if isinstance(root.of, str):
        source = recorder.less.get(x.node, x.node)
        made: ActivationTensor | None = recorder.emit(
            "normalize", [ActivationTensor(source)], call.shape, label="batch_norm", over_batch=True
        )
    else:
        source = x.node
        node = root.of if root.scales or not isinstance(entry, ActivationTensor) else entry.node
        made = normalize(recorder, x, ActivationTensor(node), call.shape, divides)
    if made is None:
        return None
    recorder.follow_norm(x, made)
    for scale in root.scales:
        made = recorder.add_elementwise("scale", made, scale, call.shape)
    recorder.normed[made.node] = Normed(source, root)
    return made


def subtract(call: Call) -> TensorEntry | None:
    """A difference that belongs to a norm; None for another one."""
    x, recorder = call.entries[0], call.recorder
    other = call.entries[1]
    mean = _mean(call, 1)
    if isinstance(x, ActivationTensor) and isinstance(other, ActivationTensor):
        made = find_difference(recorder, x, other, call.shape)
        return made if made is None else recorder.follow(x, made)
    is_zero = call.number(1) == 0  # and the difference is x
    if isinstance(x, ActivationTensor) and isinstance(other, State) and mean and not is_zero:
        less = recorder.emit("add", [x, recorder.buffer(other, call.ins[1].shape)], call.shape)
        recorder.replace_node(less.node, label="sub", flags=frozenset({"difference"}))
        recorder.less[less.node] = x.node
        return recorder.follow(x, less)
    offset = _offset(call, 1)
    if offset is not None and isinstance(x, ParameterTensor):
        return _shift(call, 1, x, replace(offset, sign=-offset.sign))
    return None


def add(call: Call) -> TensorEntry | None:
    """A sum that belongs to a norm; None for another one."""
    for at, other in ((0, 1), (1, 0)):
        offset, entry = _offset(call, at), call.entries[other]
        if offset is None:
            continue
        if isinstance(entry, ParameterTensor) and not isinstance(entry, Normer):
            return _shift(call, at, entry, offset)
        if isinstance(entry, ActivationTensor):
            made = _move(call, entry, offset)
            if made is not None:
                return made
    return None


def _shift(call: Call, at: int, shift: ParameterTensor, offset: Offset) -> TensorEntry:
    """A norm's own shift, less the mean times the scale."""
    own = replace(offset, shifts=(*offset.shifts, shift))
    entry = call.entries[at]
    if isinstance(entry, ActivationTensor):
        made = call.recorder.add_elementwise("shift", entry, shift, call.shape)
        call.recorder.offsets[made.node] = own
        return made
    return Normer(shift.through("add").parts, offset=own)


def _move(call: Call, x: ActivationTensor, offset: Offset) -> ActivationTensor | None:
    """x s + (b - m s), where m is the mean of x."""
    recorder = call.recorder
    normed = recorder.normed.get(x.node)
    if normed is None or offset.sign != -1 or normed.root != offset.root:
        return None
    if isinstance(offset.root.of, str):
        made = x
    elif recorder.origin(normed.source) == offset.mean:
        statistic = recorder.statistics[offset.root.of]
        label = statistic.norm or "layer_norm"
        made = recorder.emit(
            "normalize",
            [ActivationTensor(normed.source)],
            call.shape,
            label=label,
            over_batch=label == "batch_norm",
        )
        recorder.follow_norm(x, made)
        for scale in offset.root.scales:
            made = recorder.add_elementwise("scale", made, scale, call.shape)
    else:
        return None
    for shift in offset.shifts:
        made = recorder.add_elementwise("shift", made, shift, call.shape)
    return made


def note_negative(call: Call, made: ActivationTensor) -> None:
    """Notes the mean of what a node is the negative of."""
    entry = call.entries[0]
    if isinstance(entry, ActivationTensor):
        note_factor(call.recorder, entry, made, -1.0)


def follow_state(call: Call, value: Any) -> State | None:
    """What becomes of a running statistic by a function of it; None for another constant."""
    entry = next((item for item in call.entries if isinstance(item, State)), None)
    if entry is None or entry.offset is not None:
        return None
    others = [at for at, item in enumerate(call.entries) if item is not entry]
    number = call.number(others[0]) if len(others) == 1 else None
    power = {"rsqrt": -0.5, "sqrt": 0.5, "integer_pow": call.params.get("y")}.get(call.name)
    if power is not None:
        return replace(entry, value=value, power=entry.power * power)
    if call.name == "neg":
        return replace(entry, value=value, sign=-entry.sign)
    little = call.name == "add" and number is not None and abs(number) < _LITTLE
    # Averages that begin at zero are divided by the share that they have seen.
    shared = call.name in ("div", "mul") and entry.power == 1 and call.entries[0] is entry
    return replace(entry, value=value) if call.name in _KEEP or little or shared else None
