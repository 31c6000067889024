"""Picks: elements at computed places: rows of tables, slices, and sums of what falls together."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fanin.frameworks.jax.operations._moves import narrow_dims
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._views import remove
from fanin.frameworks.recording._weights import ParameterTensor, use
from fanin.graph import Op


def gather(call: Call) -> TensorEntry:
    """Elements picked by integers; of a parameter, a lookup."""
    entry, before = call.entries[0], call.ins[0].shape
    numbers, sizes = call.params["dimension_numbers"], call.params["slice_sizes"]
    picks = [*numbers.start_index_map, *numbers.operand_batching_dims]
    counted = [dim for dim in picks if sizes[dim] != before[dim]]
    if not counted and not numbers.operand_batching_dims:
        counted = [dim for dim in picks if dim in numbers.collapsed_slice_dims]
    places = _read(call, 1)
    if places is not None:
        cut = _cut(call, entry, picks, np.asarray(places))
        if cut is not None:
            return cut
    if not isinstance(entry, ParameterTensor):
        return call.view("index")
    sources = [call.activation(1)] if isinstance(call.entries[1], ActivationTensor) else []
    return look_up(call, entry, before, counted, sources)


def _read(call: Call, at: int) -> Any:
    """The values of a constant; what an input says is not the model's."""
    return call.value(at) if isinstance(call.entries[at], ConstantTensor) else None


def _cut(call: Call, entry: TensorEntry, picks: Sequence[int], places: Any) -> TensorEntry | None:
    """x[:, 3], or x[:, 3:5], where the places are known and one behind another."""
    numbers, sizes = call.params["dimension_numbers"], call.params["slice_sizes"]
    before = call.ins[0].shape
    if numbers.operand_batching_dims or len(picks) != 1 or sizes[picks[0]] != 1:
        return None
    (dim,) = picks
    flat = places.reshape(-1)
    if any(sizes[other] != before[other] for other in range(len(before)) if other != dim):
        return None
    steps = np.arange(flat[0], flat[0] + len(flat)) if len(flat) else flat
    if not len(flat) or not np.array_equal(flat, steps) or not 0 <= flat[0] < before[dim]:
        return None
    one_dim = places.ndim == 2 and numbers.offset_dims == _others(dim, len(before))
    alone = len(flat) == 1 and math.prod(places.shape) == 1
    if not alone and not one_dim:
        return None
    spans = [(0, size, 1) for size in before]
    spans[dim] = (int(flat[0]), len(flat), 1)
    kept = tuple(len(flat) if at == dim else size for at, size in enumerate(before))
    made = narrow_dims(call, entry, before, spans)
    if kept == call.shape or isinstance(made, ConstantTensor):
        return made
    if not alone or dim not in numbers.collapsed_slice_dims:
        return None
    return drop_dim(call, made, dim)


def drop_dim(call: Call, entry: TensorEntry, dim: int) -> TensorEntry:
    """Without a dimension of size one."""
    if isinstance(entry, ParameterTensor):
        return entry.follow(lambda dims: remove(dims, dim))
    assert isinstance(entry, ActivationTensor)
    made = call.recorder.emit("view", [entry], call.shape, label="squeeze")
    layout = call.recorder.layout_of(entry.node)
    if layout is not None:
        call.recorder.layouts[made.node] = replace(layout, dims=remove(layout.dims, dim))
    return made


def _others(dim: int, rank: int) -> tuple[int, ...]:
    return tuple(at for at in range(rank) if at != dim)


def look_up(
    call: Call,
    weight: ParameterTensor,
    table: Sequence[int],
    picks: Sequence[int],
    sources: Sequence[ActivationTensor],
) -> ActivationTensor:
    """Rows of a table: the dimensions in `picks` are counted, the others are features."""
    roles = ["stack" if dim in picks else "out" for dim in range(len(table))]
    width = math.prod(size for dim, size in enumerate(table) if dim not in picks)
    made: ActivationTensor | None = None
    for part in weight.parts:
        node = call.recorder.emit(
            "lookup", sources, call.shape, param=use(part, roles, (1, width)), label="embedding"
        )
        made = call.recorder.scale(node, part)
    assert made is not None
    return made


def cut(call: Call) -> TensorEntry:
    """dynamic_slice: a part of every dimension, from places that may be computed."""
    starts = [_read(call, at) for at in range(1, len(call.entries))]
    before, sizes = call.ins[0].shape, call.params["slice_sizes"]
    entry = call.entries[0]
    computed = [dim for dim, start in enumerate(starts) if start is None]
    picks = [dim for dim in computed if sizes[dim] != before[dim]]
    if picks and isinstance(entry, ParameterTensor):
        active = [at for at in range(1, len(starts) + 1) if starts[at - 1] is None]
        sources = [call.activation(at) for at in active if at - 1 in picks]
        return look_up(call, entry, before, picks, sources)
    spans = [
        (0 if start is None else min(max(int(start), 0), whole - size), size, 1)
        for start, whole, size in zip(starts, before, sizes, strict=True)
    ]
    return narrow_dims(call, entry, before, spans)


_KINDS: dict[str, Op] = {
    "scatter_add": "sum",
    "scatter-add": "sum",
    "scatter_max": "max",
    "scatter-max": "max",
    "scatter_min": "max",
    "scatter-min": "max",
}


def scatter(call: Call) -> TensorEntry:
    """What is written or added where integers say."""
    recorder = call.recorder
    real = [at for at in (0, 2) if call.recorder.is_real(call.entries[at])]
    if not real:
        if isinstance(call.entries[1], ActivationTensor):  # a constant at computed places
            made = recorder.emit("view", [call.activation(1)], call.shape, label="one_hot")
            return made
        return ConstantTensor()
    if call.name in _KINDS and 2 in real:
        terms = _terms(call)
        added = recorder.emit(
            _KINDS[call.name], [call.activation(2)], call.shape, count=terms, label=call.name
        )
        if 0 not in real:
            return added
        both = recorder.emit("add", [call.activation(0), added], call.shape)
        return both
    sources = [call.activation(at) for at in real]
    op: Any = "view" if len(sources) == 1 else "concat"
    written = recorder.emit(op, sources, call.shape, label="write")
    return written


def _terms(call: Call) -> float:
    """How many are summed: the root mean square where it is known, else the mean."""
    places = call.value(1)
    dims = call.params["dimension_numbers"].scatter_dims_to_operand_dims
    if places is not None and len(dims) == 1:
        flat = np.asarray(places).reshape(-1)
        size = call.shape[dims[0]]
        inside = flat[(flat >= 0) & (flat < size)]
        if inside.size:
            counts = np.bincount(inside, minlength=size).astype(float)
            return float(np.sqrt((counts**2).mean()))
    return call.ins[2].size / max(math.prod(call.shape), 1)


def is_one_hot(call: Call) -> bool:
    """Whether integers are compared with all those that they may be: how one-hots are made."""
    if call.name != "eq":
        return False
    size = call.shape[-1] if call.shape else 0
    for at in (0, 1):
        known = call.value(at)
        if isinstance(call.entries[at], ConstantTensor) and known is not None and size > 1:
            classes = np.asarray(known).reshape(-1)
            if len(classes) == size and np.array_equal(classes, np.arange(size)):
                return True
    return False


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    "gather": gather,
    "dynamic_slice": cut,
    **dict.fromkeys(("scatter", "scatter_apply", "scatter_mul", "scatter-mul", *_KINDS), scatter),
}
