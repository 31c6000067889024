"""Pairs: two arguments in the order in which they act, and the nodes that are made of both."""

from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Op


def as_constant(call: Call, entry: TensorEntry) -> ConstantTensor | None:
    """A constant, or an activation of integers and masks, which scales nothing."""
    if isinstance(entry, ConstantTensor):
        return entry
    if isinstance(entry, ActivationTensor) and entry.node in call.recorder.integers:
        return ConstantTensor(entry.value, name="mask")
    return None


def put_in_order(call: Call) -> tuple[int, int]:
    """The two arguments with a real activation first, else a weight."""

    def rank(at: int) -> int:
        entry = call.entries[at]
        if as_constant(call, entry) is not None:
            return 3 if call.number(at) is not None else 2
        return int(isinstance(entry, ParameterTensor))

    for weight, factor in ((0, 1), (1, 0)):
        if _is_own_factor(call, weight, factor):
            return weight, factor
    return (1, 0) if rank(1) < rank(0) else (0, 1)


def _is_own_factor(call: Call, weight: int, factor: int) -> bool:
    """Whether a small variable made of parameters changes a weight, as a spectral norm does."""
    entry = call.entries[factor]
    return (
        isinstance(call.entries[weight], ParameterTensor)
        and isinstance(entry, ActivationTensor)
        and entry.node in call.recorder.parametric
        and call.ins[factor].size < call.ins[weight].size
    )


def join(
    call: Call, op: Op, value: ActivationTensor, other: int, label: str = ""
) -> ActivationTensor:
    sources = [value, call.activation(other)]
    made = call.recorder.emit(op, sources, call.shape, label=label)
    return made


def show(call: Call, value: ActivationTensor, label: str) -> ActivationTensor:
    made = call.recorder.emit("view", [value], call.shape, label=label)
    return call.recorder.follow(value, made)
