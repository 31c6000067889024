"""Moves: primitives that only view, select, copy or join elements."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.recording._views import (
    Atom,
    Dims,
    permute,
    remove,
    reshape,
    slice_neighbours,
)
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Window

Change = Callable[[Dims], Dims | None]


def _broadcast(call: Call) -> Change:
    shape, places = call.params["shape"], call.params["broadcast_dimensions"]
    before = call.ins[0].shape

    def change(dims: Dims) -> Dims:
        made: list[tuple[Atom, ...]] = [
            () if size == 1 else (Atom(None, 1, size),) for size in shape
        ]
        for place, atoms, size in zip(places, dims, before, strict=True):
            grows = size != shape[place]
            made[place] = (*atoms, Atom(None, 1, shape[place])) if grows else atoms
        return tuple(made)

    return change


def _squeeze(call: Call) -> Change:
    gone = set(call.params["dimensions"])
    kept = [dim for dim in range(len(call.ins[0].shape)) if dim not in gone]
    return lambda dims: tuple(dims[dim] for dim in kept)


VIEWS: dict[str, Callable[[Call], Change]] = {
    "reshape": lambda call: lambda dims: reshape(dims, call.shape),
    "transpose": lambda call: lambda dims: permute(dims, call.params["permutation"]),
    "squeeze": _squeeze,
    "broadcast_in_dim": _broadcast,
    "rev": lambda call: lambda dims: dims,
}
_LABELS = {"rev": "flip", "broadcast_in_dim": "expand", "transpose": "permute"}


def keep(call: Call) -> TensorEntry | list[TensorEntry]:
    """A cast or a copy."""
    if len(call.outs) > 1:
        return list(call.entries)
    entry = call.entries[0]
    gains_reals = call.outs[0].is_real and not call.ins[0].is_real
    masks = isinstance(entry, ActivationTensor) and entry.node in call.recorder.masks
    if isinstance(entry, ActivationTensor) and gains_reals and not masks:
        return call.view("cast")
    return entry


def view(call: Call) -> TensorEntry:
    """A view of all elements."""
    entry = call.entries[0]
    change = VIEWS[call.name](call)
    if isinstance(entry, ParameterTensor):
        return replace(entry, parts=entry.follow(change).parts)
    if call.shape == call.ins[0].shape and call.name in ("reshape", "broadcast_in_dim"):
        return entry
    made = call.view(_LABELS.get(call.name, call.name))
    if isinstance(entry, ActivationTensor):
        carry(call, entry, made, change)
    return made


def carry(call: Call, entry: ActivationTensor, made: ActivationTensor, change: Change) -> None:
    """Notes where features are behind a view, and of which rows it shows a statistic."""
    recorder = call.recorder
    layout = recorder.layout_of(entry.node)
    dims = change(layout.dims) if layout else None
    if layout and dims is not None:
        recorder.layouts[made.node] = replace(layout, dims=dims)
    kinds: tuple[dict[int, Any], ...] = (recorder.statistics, recorder.roots, recorder.offsets)
    for notes in kinds:
        if entry.node in notes:
            notes[made.node] = notes[entry.node]


def narrow(call: Call) -> TensorEntry:
    """A part of every dimension."""
    steps = call.params["strides"] or (1,) * len(call.shape)
    spans = zip(call.params["start_indices"], call.shape, steps, strict=True)
    return narrow_dims(call, call.entries[0], call.ins[0].shape, list(spans))


def narrow_dims(
    call: Call,
    entry: TensorEntry,
    before: Sequence[int],
    spans: Sequence[tuple[int, int, int]],
) -> TensorEntry:
    """What is left of dimensions after they were cut: start, size and step of each."""
    cut = [dim for dim, (_, size, _) in enumerate(spans) if size != before[dim]]
    for dim in cut:
        start, size, step = spans[dim]
        whole = list(before)
        whole[dim] = size
        entry = _narrow_dim(call, entry, dim, start, size, step, whole)
        before = whole
    return entry


def _narrow_dim(
    call: Call, entry: TensorEntry, dim: int, start: int, size: int, step: int, shape: Sequence[int]
) -> TensorEntry:
    if isinstance(entry, ParameterTensor):
        made = entry.follow(lambda dims: slice_neighbours(dims, dim, size))
        if size != 1:
            return made
        whole = entry.pick(dim)  # that one position has the role of copies
        return ParameterTensor(
            tuple(
                replace(part, dims=part.dims and (*part.dims[:dim], (), *part.dims[dim:]))
                for part in whole.parts
            )
        )
    recorder = call.recorder
    source = recorder.activation(entry, call.ins[0].shape)
    label = "select" if size == 1 else "slice"
    made_view = recorder.emit("view", [source], shape, label=label)
    layout = recorder.layout_of(source.node)
    if layout and layout.units and any(a.axis == layout.features for a in layout.dims[dim]):
        recorder.cut(source, made_view, dim, start, size, step)
    else:
        carry(call, source, made_view, lambda dims: slice_neighbours(dims, dim, size))
    return made_view


def split(call: Call) -> list[TensorEntry]:
    """Several pieces along a dimension."""
    dim, start, pieces = call.params["axis"], 0, []
    for size in call.params["sizes"]:
        spans = [(0, n, 1) for n in call.ins[0].shape]
        spans[dim] = (start, int(size), 1)
        pieces.append(narrow_dims(call, call.entries[0], call.ins[0].shape, spans))
        start += int(size)
    return pieces


def unstack(call: Call) -> list[TensorEntry]:
    """Every position along an axis by itself, the axis gone."""
    dim, shape = call.params["axis"], call.ins[0].shape
    pieces = []
    for start in range(shape[dim]):
        spans = [(0, n, 1) for n in shape]
        spans[dim] = (start, 1, 1)
        piece = narrow_dims(call, call.entries[0], shape, spans)
        pieces.append(_drop_dim(call, piece, dim))
    return pieces


def _drop_dim(call: Call, entry: TensorEntry, dim: int) -> TensorEntry:
    """A view without an axis of size one, of the shape of the results."""

    def change(dims: Dims) -> Dims:
        return (*dims[:dim], *dims[dim + 1 :])

    if isinstance(entry, ParameterTensor):
        return replace(entry, parts=entry.follow(change).parts)
    source = call.recorder.activation(entry, (*call.shape[:dim], 1, *call.shape[dim:]))
    made = call.recorder.emit("view", [source], call.shape, label="squeeze")
    carry(call, source, made, change)
    return made


def join(call: Call) -> TensorEntry:
    """Variables one behind another, or stacked."""
    dim = call.params["dimension"]
    kept = [at for at in range(len(call.entries)) if call.ins[at].size]
    if len(kept) == 1:
        return call.entries[kept[0]]
    if not any(isinstance(call.entries[at], ActivationTensor) for at in kept):
        weights = [entry for entry in call.entries if isinstance(entry, ParameterTensor)]
        return ParameterTensor(tuple(part for weight in weights for part in weight.parts))
    sources = [call.activation(at) for at in kept]
    stacked = all(call.ins[at].shape[dim] == 1 for at in kept)
    label = "stack" if stacked else "cat"
    made = call.recorder.emit("concat", sources, call.shape, label=label)
    if stacked:
        call.recorder.stacks[made.node] = dim, [_unstack(call, item, dim) for item in sources]
    return made


def _unstack(call: Call, source: ActivationTensor, dim: int) -> ActivationTensor:
    """What was given a dimension of size one, to be stacked along it."""
    node = call.recorder.nodes[source.node]
    before = node.inputs[0] if node.op == "view" and len(node.inputs) == 1 else None
    shape = remove(tuple(() for _ in node.shape), dim)
    same = before is not None and len(call.recorder.nodes[before].shape) == len(shape)
    return ActivationTensor(before) if same and before is not None else source


def pad(call: Call) -> TensorEntry:
    """Zeros around an activation; those beside its features count, like empty channels."""
    entry, config = call.entries[0], call.params["padding_config"]
    if not any(any(item) for item in config):
        return entry
    if isinstance(entry, ParameterTensor):
        return entry.through("pad", False)
    if not isinstance(entry, ActivationTensor):
        return call.view("constant_pad_nd")
    recorder = call.recorder
    made = recorder.emit("view", [entry], call.shape, label="constant_pad_nd")
    feature = feature_of(call, entry.node)
    kept = call.ins[0].shape[feature] / max(call.shape[feature], 1)
    if call.number(1) != 0 or any(min(item) < 0 for item in config):
        return made
    if kept < 1:
        recorder.replace_node(made.node, filled=kept)
        return made
    layout = recorder.layout_of(entry.node)
    if layout is not None:
        dims = tuple(
            atoms if dim == feature or len(atoms) != 1 else (atoms[0]._replace(size=size),)
            for dim, (atoms, size) in enumerate(zip(layout.dims, call.shape, strict=True))
        )
        recorder.layouts[made.node] = replace(layout, dims=dims)
    axes = [dim for dim in range(1, len(config)) if dim != feature]
    if len(axes) == len(config) - 2 and axes:
        ones = (1,) * len(axes)
        before = tuple(config[dim][0] for dim in axes)
        recorder.replace_node(made.node, window=Window(ones, ones, before, ones))
        recorder.maps[made.node] = feature
    return made


def feature_of(call: Call, node: int) -> int:
    """The axis of features: the layer's that made them, else the last."""
    layout = call.recorder.layout_of(node)
    for dim, atoms in enumerate(layout.dims if layout else ()):
        if layout and any(atom.axis == layout.features for atom in atoms):
            return dim
    return len(call.ins[0].shape) - 1


def write(call: Call) -> TensorEntry:
    """A variable written into a part of another."""
    real = [
        at for at in (0, 1) if isinstance(call.entries[at], (ActivationTensor, ParameterTensor))
    ]
    if len(real) < 2:
        made = call.recorder.emit(
            "view", [call.activation((*real, 0)[0])], call.shape, label="write"
        )
        return made
    sources = [call.activation(at) for at in real]
    joined = call.recorder.emit("concat", sources, call.shape, label="write")
    return joined


def _plain(label: str) -> Callable[[Call], TensorEntry | list[TensorEntry]]:
    def quote(call: Call) -> TensorEntry | list[TensorEntry]:
        made: list[TensorEntry] = []
        for out in call.outs:
            node = call.view(label if out.is_real else "integers")
            call.recorder.replace_node(node.node, shape=out.shape)
            made.append(node)
        return made

    return quote


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    **dict.fromkeys(VIEWS, view),
    "slice": narrow,
    "split": split,
    "unstack": unstack,
    "concatenate": join,
    "pad": pad,
    "dynamic_update_slice": write,
    "sort": _plain("sort"),
    "top_k": _plain("topk"),
}
