"""Moves: operations that only view, select, copy or join elements."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from fanin.frameworks.recording._masks import is_far_below
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._views import (
    Dims,
    expand,
    permute,
    remove,
    repeat,
    reshape,
    slice_neighbours,
)
from fanin.frameworks.recording._weights import ParameterTensor, use
from fanin.frameworks.torch.operations._masks import (
    is_mask,
    pick_by_mask,
)
from fanin.frameworks.torch.operations._writes import write
from fanin.frameworks.torch.record._call import Call
from fanin.graph import Window


def _order(call: Call) -> list[int]:
    rank = call.first.dim()
    if call.name in ("permute", "permute_copy"):
        return [int(dim) % rank for dim in call["dims"]]
    order = list(range(rank))
    if call.name in ("transpose", "transpose_copy"):
        first, second = call.dim("dim0"), call.dim("dim1")
        order[first], order[second] = second, first
        return order
    return order[::-1]  # t, numpy_T


def _unsqueeze(call: Call) -> Callable[[Dims], Dims | None]:
    dim = call.dim(of=call.first.dim() + 1)
    return lambda dims: (*dims[:dim], (), *dims[dim:])


def _squeeze(call: Call) -> Callable[[Dims], Dims | None]:
    given = call.get("dim")
    shape = tuple(call.first.shape)
    chosen = range(len(shape)) if given is None else given if isinstance(given, list) else [given]
    gone = {int(dim) % max(len(shape), 1) for dim in chosen}
    kept = [dim for dim, size in enumerate(shape) if size != 1 or dim not in gone]
    return lambda dims: tuple(dims[dim] for dim in kept)


_VIEWS: dict[str, Callable[[Call], Callable[[Dims], Dims | None]]] = {
    **dict.fromkeys(
        ("view", "_unsafe_view", "reshape", "_reshape_alias", "view_copy"),
        lambda call: lambda dims: reshape(dims, call.shape),
    ),
    **dict.fromkeys(
        ("permute", "permute_copy", "transpose", "transpose_copy", "t", "t_copy", "numpy_T"),
        lambda call: lambda dims: permute(dims, _order(call)),
    ),
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "expand": lambda call: lambda dims: expand(dims, call.shape),
    "repeat": lambda call: lambda dims: repeat(dims, call["repeats"]),
    "flip": lambda call: lambda dims: dims,
    "roll": lambda call: lambda dims: dims,
}

# What leaves every element where it is: no node of its own.
SAME = (
    *("alias", "alias_copy", "detach", "detach_copy", "clone", "contiguous", "lift_fresh"),
    *("lift", "_to_copy", "to", "positive", "view_as", "_conj", "resolve_conj", "lift_fresh_copy"),
    *("convert_element_type", "device_put", "fill", "zero"),
)


def same(call: Call) -> TensorEntry:
    """A cast or a copy."""
    entry = call.entry(call.first)
    gains_reals = call.out.is_floating_point() and not call.first.is_floating_point()
    if isinstance(entry, ActivationTensor) and gains_reals and not is_mask(call, call.first):
        return call.view("cast")
    return entry


def view(call: Call) -> TensorEntry:
    """A view of all elements."""
    entry = call.entry(call.first)
    change = _VIEWS[call.name](call)
    if isinstance(entry, ParameterTensor):
        return entry.follow(change)
    made = call.view()
    if isinstance(entry, ActivationTensor):
        _carry(call, entry, made, change)
        if entry.node in call.recorder.statistics:
            call.recorder.statistics[made.node] = call.recorder.statistics[entry.node]
    return made


def _carry(
    call: Call,
    entry: ActivationTensor,
    made: ActivationTensor,
    change: Callable[[Dims], Dims | None],
) -> None:
    layout = call.recorder.layouts.get(entry.node)
    dims = change(layout.dims) if layout else None
    if layout and dims is not None:
        call.recorder.layouts[made.node] = replace(layout, dims=dims)


def select(call: Call) -> TensorEntry:
    """One position of a dimension."""
    return _select(call, call.first, call.dim(), int(call["index"]), call.shape)


def _select(
    call: Call, tensor: Tensor, dim: int, index: int, shape: tuple[int, ...]
) -> TensorEntry:
    entry = call.entry(tensor)
    if isinstance(entry, ParameterTensor):
        return entry.pick(dim)
    source = call.activation(tensor)
    made = call.recorder.emit("view", [source], shape, label="select")
    layout = call.recorder.layouts.get(source.node)
    if layout and any(atom.axis == layout.features for atom in layout.dims[dim]):
        call.recorder.cut(source, made, dim, index % tensor.shape[dim], 1)
    else:
        _carry(call, source, made, lambda dims: remove(dims, dim))
    return made


def narrow(call: Call) -> TensorEntry:
    """Neighbours along a dimension."""
    dim = call.dim()
    length = call.first.shape[dim]
    start = int(call["start"] or 0) if "start" in call.arguments else 0
    start = min(max(start + length if start < 0 else start, 0), length)
    step = int(call.get("step") or 1)
    return _narrow(call, call.first, dim, start, call.out, step)


def _narrow(
    call: Call, tensor: Tensor, dim: int, start: int, out: Tensor, step: int = 1
) -> TensorEntry:
    entry = call.entry(tensor)
    size = out.shape[dim]
    if size == tensor.shape[dim]:
        return entry
    if isinstance(entry, ParameterTensor):
        return entry.follow(lambda dims: slice_neighbours(dims, dim, size))
    source = call.activation(tensor)
    made = call.recorder.emit("view", [source], out.shape, label="slice")
    layout = call.recorder.layouts.get(source.node)
    if layout and any(atom.axis == layout.features for atom in layout.dims[dim]):
        call.recorder.cut(source, made, dim, start, size, step)
    else:
        _carry(call, source, made, lambda dims: slice_neighbours(dims, dim, size))
    return made


def split(call: Call) -> list[TensorEntry]:
    """Several pieces along a dimension."""
    dim = call.dim()
    start, pieces = 0, []
    for out in call.out:
        pieces.append(_narrow(call, call.first, dim, start, out))
        start += out.shape[dim]
    return pieces


def unbind(call: Call) -> list[TensorEntry]:
    """Every position of a dimension on its own."""
    dim = call.dim()
    return [
        _select(call, call.first, dim, index, tuple(out.shape))
        for index, out in enumerate(call.out)
    ]


def join(call: Call) -> TensorEntry:
    """Tensors one behind another, or stacked."""
    tensors = [tensor for tensor in call["tensors"] if tensor.numel() or tensor.dim() > 1]
    entries = [call.entry(tensor) for tensor in tensors]
    if not any(isinstance(entry, ActivationTensor) for entry in entries):
        weights = [entry for entry in entries if isinstance(entry, ParameterTensor)]
        if call.name == "stack":
            dim = call.dim(of=tensors[0].dim() + 1)
            weights = [
                weight.follow(lambda dims: (*dims[:dim], (), *dims[dim:])) for weight in weights
            ]
        return ParameterTensor(tuple(part for weight in weights for part in weight.parts))
    sources = [call.activation(tensor) for tensor in tensors]
    made = call.recorder.emit("concat", sources, call.shape, label=call.name)
    if call.name == "stack":
        call.recorder.stacks[made.node] = call.dim(of=len(call.shape)), sources
    return made


def index(call: Call) -> TensorEntry:
    """Elements picked by integers; of a parameter, a lookup."""
    if call.name == "index":
        picks = [dim for dim, item in enumerate(call["indices"]) if item is not None]
    else:
        picks = [call.dim() if call.get("dim") is not None else 0]
    entry = call.entry(call["self"])
    if not isinstance(entry, ParameterTensor):
        return _pick_neighbours(call) or call.view()
    given = call.get("indices") if call.name == "index" else [call.get("index")]
    known = [tensor for tensor in given or [] if isinstance(tensor, Tensor)]
    sources = [
        call.activation(item) for item in known if isinstance(call.entry(item), ActivationTensor)
    ]
    return look_up(call, call["self"], entry, picks, sources)


def _pick_neighbours(call: Call) -> TensorEntry | None:
    """x[..., [5, 6], :] is x[..., 5:7, :]."""
    indices = [item for item in call.get("indices") or [] if item is not None]
    if len(indices) != 1 or indices[0].dim() != 1:
        return None
    entry = call.entry(indices[0])
    known = entry.value if isinstance(entry, ConstantTensor) else None
    if known is None or not known.numel() or known.dtype == torch.bool:
        return None
    dim = next(i for i, item in enumerate(call["indices"]) if item is not None)
    start = int(known[0]) % call.first.shape[dim]
    if not torch.equal(
        known % call.first.shape[dim], torch.arange(start, start + len(known), device="cpu")
    ):
        return None
    return _narrow(call, call.first, dim, start, call.out)


def look_up(
    call: Call,
    table: Tensor,
    weight: ParameterTensor,
    picks: list[int],
    sources: list[ActivationTensor],
) -> ActivationTensor:
    """Rows of a table: the dimensions in `picks` are counted, the others are features."""
    roles = ["stack" if dim in picks else "out" for dim in range(table.dim())]
    width = math.prod(size for dim, size in enumerate(table.shape) if dim not in picks)
    made = None
    for part in weight.parts:
        node = call.recorder.emit(
            "lookup", sources, call.shape, param=use(part, roles, (1, width)), label=call.name
        )
        made = call.recorder.scale(node, part)
    assert made is not None
    return made


def pad(call: Call) -> TensorEntry:
    """Zeros around an activation; those beside its features count, like empty channels.

    Of positions only the borders are zero, as in padded convolutions: the window tells which.
    """
    value = call.activation(call["self"])
    made = call.recorder.emit("view", [value], call.shape, label=call.name)
    feature = features_of(call, value.node)
    kept = call.first.shape[feature] / max(call.shape[feature], 1)
    if call.number(call["value"]) == 0:
        if kept < 1:
            call.recorder.replace_node(made.node, filled=kept)
        elif feature == 1:
            call.recorder.replace_node(made.node, window=_find_padding(call))
    return made


def _find_padding(call: Call) -> Window | None:
    """The zeros around a map; None where nothing, or less than nothing, is put there."""
    rank, given = call.first.dim() - 2, [int(item) for item in call["pad"]]
    before = tuple(given[-2::-2])
    if min(given) < 0 or rank < 1 or len(before) > rank:
        return None
    ones = (1,) * rank
    return Window(ones, ones, (0,) * (rank - len(before)) + before, ones)


def features_of(call: Call, node: int) -> int:
    """The axis of features: the layer's that made them, else where torch puts them."""
    layout, rank = call.recorder.layouts.get(node), call.first.dim()
    for dim, atoms in enumerate(layout.dims if layout else ()):
        if layout and any(atom.axis == layout.features for atom in atoms):
            return dim
    return 1 if rank >= 4 else rank - 1


def either(call: Call) -> TensorEntry:
    """where and masked_fill: a mask picks one of two."""
    mask = call.get("condition") if call.name == "where" else call["mask"]
    names = ("self", "other") if call.name == "where" else ("value", "self")
    there, elsewhere = (call.get(name) for name in names)
    if is_mask(call, mask) and not any(
        is_far_below(call.number(item)) for item in (there, elsewhere)
    ):
        return pick_by_mask(call, mask, there, elsewhere)
    tensors = [call.get(name) for name in ("self", "other", "value")]
    real = [
        tensor
        for tensor in tensors
        if isinstance(tensor, Tensor) and not isinstance(call.entry(tensor), ConstantTensor)
    ]
    if len(real) > 1:
        return call.recorder.emit(
            "concat", [call.activation(item) for item in real], call.shape, label="where"
        )
    if not real:
        return call.view("mask")
    return call.recorder.emit("view", [call.activation(real[0])], call.shape, label="mask")


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    **dict.fromkeys(SAME, same),
    **dict.fromkeys(_VIEWS, view),
    "select": select,
    **dict.fromkeys(("slice", "narrow"), narrow),
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk"), split),
    "unbind": unbind,
    **dict.fromkeys(("cat", "stack", "_cat", "hstack", "vstack"), join),
    **dict.fromkeys(("index", "index_select", "gather", "take", "take_along_dim"), index),
    **dict.fromkeys(
        (
            *("copy", "index_put", "_unsafe_index_put", "_index_put_impl", "scatter", "index_copy"),
            *("masked_scatter", "slice_scatter", "select_scatter", "diagonal_scatter"),
            *("index_add", "scatter_add", "scatter_reduce"),
        ),
        write,
    ),
    **dict.fromkeys(("where", "masked_fill"), either),
    "constant_pad_nd": pad,
}

# What shows elements of its argument.
VIEWS = frozenset((*_VIEWS, "select", "slice", "narrow", "split", "split_with_sizes", "chunk"))
VIEWS |= {"unsafe_split", "unsafe_chunk", "unbind"}

# Views by hand-over: their label is their name, nothing of their axes is followed.
PLAIN_VIEWS = frozenset(
    (
        *("as_strided", "reflection_pad1d", "reflection_pad2d", "unfold"),
        *("replication_pad1d", "replication_pad2d", "replication_pad3d", "im2col", "pad"),
        *("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle"),
        *("diagonal", "tril", "triu", "masked_select", "repeat_interleave", "sort", "topk"),
        *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "diag_embed"),
        *("_upsample_nearest_exact2d", "_upsample_bilinear2d_aa"),
        *("upsample_bicubic2d", "_upsample_bicubic2d_aa"),
        *("grid_sampler_2d", "grid_sampler_3d", "view_as_real"),
        *("view_as_complex", "real", "imag", "select_backward", "slice_backward"),
        *("rot90", "swapaxes", "diag", "atleast_1d", "atleast_2d"),
    )
)
