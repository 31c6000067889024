"""Masks: comparisons of activations, and what a mask picks of two."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fanin.frameworks.jax.operations._labels import recognize
from fanin.frameworks.jax.operations._slopes import pick_sloped
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.jax.record._pointwise import COMPARISONS
from fanin.frameworks.jax.record._record import ValuesFunction
from fanin.frameworks.recording._masks import inline, is_far_below, remember
from fanin.frameworks.recording._record import (
    ActivationFormula,
    ActivationTensor,
    ConstantTensor,
    Noise,
    TensorEntry,
)
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Values


def compares(call: Call) -> bool:
    """Whether a primitive compares activations with each other, or with known numbers."""
    if call.name not in (*COMPARISONS, "is_finite", "sign"):
        return False
    active = [entry for entry in call.entries if isinstance(entry, ActivationTensor)]
    unknown = any(
        isinstance(entry, ConstantTensor) and entry.value is None for entry in call.entries
    )
    integers = any(item.node in call.recorder.integers for item in active)
    return bool(active) and not unknown and not integers and call.name != "sign"


def follows(call: Call) -> bool:
    """Whether a primitive reads masks, and no other activation."""
    active = [entry for entry in call.entries if isinstance(entry, ActivationTensor)]
    return bool(active) and all(item.node in call.recorder.masks for item in active)


def is_mask(call: Call, at: int) -> bool:
    """Whether an argument follows from comparisons of activations."""
    entry = call.entries[at]
    return isinstance(entry, ActivationTensor) and entry.node in call.recorder.masks


def removes(call: Call, at: int) -> bool:
    """Whether a mask holds numbers so far below zero that adding it removes."""
    entry = call.entries[at]
    return isinstance(entry, ActivationTensor) and entry.node in call.recorder.removing


def either(call: Call) -> TensorEntry:
    """select_n: the first argument says which of the others; a mask picks one of two."""
    known, cases = call.value(0), [*range(1, len(call.entries))]
    if not any(isinstance(entry, ActivationTensor) for entry in call.entries):
        weights = [at for at in cases if isinstance(call.entries[at], ParameterTensor)]
        weight = call.entries[max(weights, key=lambda at: call.ins[at].size)]
        assert isinstance(weight, ParameterTensor)
        return weight.through("where")
    if known is not None and np.size(known):
        flat = np.asarray(known).reshape(-1)
        if bool((flat == flat[0]).all()):
            return _show(call, cases[int(flat[0])])
    noise = _noise(call.entries[0])
    if noise is not None and len(cases) == 2:
        return _drop_by(call, noise)
    far = any(is_far_below(call.number(at)) for at in cases)
    if is_mask(call, 0) and not far and len(cases) == 2:
        return _pick(call)
    real = [at for at in cases if not isinstance(call.entries[at], ConstantTensor)]
    if len(real) > 1:
        sources = [call.activation(at) for at in real[::-1]]
        return _emit(call, "concat", sources, "where")
    if not real:
        return call.view("mask")
    return _mask(call, real[0])


def _mask(call: Call, at: int) -> ActivationTensor:
    value = call.activation(at)
    return call.recorder.follow(value, _emit(call, "view", [value], "mask"))


def _emit(call: Call, op: Any, sources: Sequence[ActivationTensor], label: str) -> ActivationTensor:
    made = call.recorder.emit(op, sources, call.shape, label=label)
    return made


def _show(call: Call, at: int) -> TensorEntry:
    """An argument, in the shape of the result."""
    entry = call.entries[at]
    if isinstance(entry, ActivationTensor) and call.ins[at].shape != call.shape:
        return _emit(call, "view", [entry], "expand")
    return entry


def _noise(entry: TensorEntry) -> Noise | None:
    found = entry.noise if isinstance(entry, ConstantTensor) else None
    return found if found is not None and found.kind == "bernoulli" else None


def _drop_by(call: Call, noise: Noise) -> TensorEntry:
    """Dropout: zeros by chance beside an activation, divided by what is kept, or not."""
    zeros = [call.number(at) == 0 for at in (1, 2)]
    if not any(zeros) or all(zeros):
        real = [at for at in (1, 2) if not isinstance(call.entries[at], ConstantTensor)]
        if not real:
            return ConstantTensor()
        sources = [call.activation(at) for at in real]
        if len(sources) == 1:
            return _emit(call, "view", sources, "mask")
        return _emit(call, "concat", sources, "where")
    at = 2 if zeros[0] else 1
    kept = 1 - noise.rate if at == 2 else noise.rate
    return drop(call, at, 1 - kept)


def drop(call: Call, at: int, rate: float) -> TensorEntry:
    """An activation of which a share is kept; where it was divided by that, this is dropout."""
    if isinstance(call.entries[at], ConstantTensor):
        return ConstantTensor()
    recorder, value = call.recorder, call.activation(at)
    kept = 1 - rate
    source, factor = recorder.multiples.get(value.node, (value.node, 1.0))
    divided = math.isclose(factor * kept, 1.0, rel_tol=1e-3)
    value = ActivationTensor(source) if divided else value
    made = recorder.emit("dropout", [value], call.shape, rate=rate, label="dropout")
    recorder.follow(value, made)
    if divided or not rate:
        return made
    return recorder.follow(made, recorder.times(made, kept))


def _pick(call: Call) -> ActivationTensor:
    """Where a mask of activations picks one of two, number or variable."""
    sloped = pick_sloped(call)
    if sloped is not None:
        return sloped
    numbers = [call.number(at) for at in (1, 2)]
    given = [at for at, number in zip((1, 2), numbers, strict=True) if number is None]
    sources = [call.activation(at) for at in (0, *given)]

    def choose(mask: Values, *arrays: Values) -> Values:
        rest = iter(arrays)
        no, yes = (next(rest) if number is None else np.asarray(number) for number in numbers)
        return np.where(mask != 0, yes, no)

    recorder = call.recorder
    sources, fn = inline(recorder, sources, choose)
    sources, fn = join_functions(call, sources, fn)
    label = "where"
    if len(sources) == 1:
        fn, label = recognize(fn, label, call.outs[0].few)
    made = recorder.emit("pointwise", sources, call.shape, fn=fn, label=label)
    if follows(call):
        remember(recorder, made.node, ActivationFormula(tuple(item.node for item in sources), fn))
    return note_function(call, made, sources, fn)


def join_functions(
    call: Call, sources: Sequence[ActivationTensor], fn: Any
) -> tuple[list[ActivationTensor], Any]:
    """A function of several functions of one activation as one of it; else as it is."""
    nodes = [source.node for source in sources]
    if len(set(nodes)) < 2:
        return list(sources), fn
    known = [call.recorder.functions.get(node, {node: _itself}) for node in nodes]
    common = next((at for at in known[0] if all(at in each for each in known[1:])), None)
    if common is None:
        return list(sources), fn
    inner = [each[common] for each in known]
    return [ActivationTensor(common)], lambda x: fn(*(each(x) for each in inner))


def note_function(
    call: Call, made: ActivationTensor, sources: Sequence[ActivationTensor], fn: Any
) -> ActivationTensor:
    """Notes of which activations a node is a function; features stay where they are."""
    nodes, recorder = {source.node for source in sources}, call.recorder
    if len(nodes) != 1:
        return made
    (node,) = nodes
    count = len(sources)
    found: dict[int, ValuesFunction] = {made.node: _itself}
    if recorder.nodes[node].shape == recorder.nodes[made.node].shape:
        before = recorder.functions.get(node, {node: _itself})
        for at, inner in [*before.items()][:_LONGEST]:
            found[at] = _compose(fn, inner, count)
    recorder.functions[made.node] = found
    return recorder.follow(sources[0], made)


_LONGEST = 12  # functions, one behind the other, that are looked through


def _compose(fn: Any, inner: Any, count: int) -> Any:
    return lambda x: fn(*[inner(x)] * count)


def _itself(value: Values) -> Values:
    return value


def real_of(call: Call) -> list[int]:
    """The arguments that are no constants."""
    return [
        at
        for at, entry in enumerate(call.entries)
        if isinstance(entry, (ActivationTensor, ParameterTensor))
    ]
