"""Reductions: sums, maxima, running sums and spectra."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from fanin.frameworks.jax.operations._pools import count_of, window
from fanin.frameworks.jax.operations._softmax import note_largest, note_total
from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.recording._record import ActivationTensor, Statistic, TensorEntry
from fanin.frameworks.recording._reductions import inner_product, of_stack
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Op


def _keep_weight(call: Call) -> ParameterTensor | None:
    """A parameter's own entry after this function of it."""
    entry = call.entries[0]
    return entry.through(call.name, False) if isinstance(entry, ParameterTensor) else None


def _axes(call: Call) -> list[int]:
    return [int(axis) for axis in call.params["axes"]]


def total(call: Call) -> TensorEntry:
    """Sums, which may be the statistics of a normalization."""
    kept = _keep_weight(call)
    if kept is not None:
        return kept
    recorder, axes = call.recorder, _axes(call)
    before = call.ins[0].shape
    count, source = count_of(before, axes), call.activation(0)
    if count == 1:
        return call.view("squeeze")
    product = inner_product(recorder, source, axes, before, call.shape)
    if product is not None:
        recorder.sums[product.node] = source.node, count
        return product
    dim, parts = recorder.stacks.get(source.node, (None, []))
    if len(parts) > 1 and axes == [dim]:
        return of_stack(recorder, "sum", parts, call.shape)
    made = recorder.emit("sum", [source], call.shape, count=count, label="sum")
    recorder.sums[made.node] = source.node, count
    _carry(call, source, made, axes)
    _note_statistic(call, source, made, axes, count)
    note_total(call, made)
    return made


def _carry(
    call: Call, source: ActivationTensor, made: ActivationTensor, axes: Sequence[int]
) -> None:
    """Features that are not summed stay where they are."""
    layout = call.recorder.layout_of(source.node)
    if layout is None or set(_features(call, source.node)) & set(axes):
        return
    dims = tuple(atoms for dim, atoms in enumerate(layout.dims) if dim not in axes)
    call.recorder.layouts[made.node] = replace(layout, dims=dims, units=0)


def _note_statistic(
    call: Call, source: ActivationTensor, made: ActivationTensor, axes: Sequence[int], count: float
) -> None:
    """Notes of which rows a sum is, and whether of their squares."""
    recorder = call.recorder
    squared = recorder.squares.get(source.node)
    node = source.node if squared is None else squared
    centre = recorder.centred.get(recorder.twin(node))
    if squared is not None and centre is not None:
        node = centre
    features = _features(call, node)
    reduced = set(features) & set(axes)
    nested = recorder.statistics.get(source.node)
    if squared is None and nested is not None and nested.power == 1 and not reduced:
        # A mean over samples of means over positions.
        whole = replace(nested, factor=nested.factor * count, positions=True, norm="batch_norm")
        recorder.statistics[made.node] = whole
        return
    norm = ""
    if not reduced:
        norm = "batch_norm" if 0 in axes and len(call.ins[0].shape) > 1 else "instance_norm"
    elif _are_groups(call, node, axes):
        norm = "group_norm"
    what = "mean" if squared is None else "square" if centre is None else "variance"
    recorder.statistics[made.node] = Statistic(
        what, node, 1.0, count, positions=not reduced, norm=norm
    )


def _features(call: Call, node: int) -> list[int]:
    """The dimensions that features are in: the layer's that made them, else the last."""
    layout, rank = call.recorder.layout_of(node), len(call.ins[0].shape)
    found = [
        dim
        for dim, atoms in enumerate(layout.dims if layout else ())
        if layout and any(atom.axis == layout.features for atom in atoms)
    ]
    return found or [rank - 1]


def _are_groups(call: Call, node: int, axes: Sequence[int]) -> bool:
    """Whether rows are of some of the features alone."""
    layout = call.recorder.layout_of(node)
    if layout is None:
        return False
    own = [
        math.prod(atom.size for atom in atoms if atom.axis == layout.features)
        for atoms in layout.dims
    ]
    return math.prod(own[axis] for axis in axes) < math.prod(own)


def largest(call: Call) -> TensorEntry:
    """Maxima and minima over dimensions."""
    kept = _keep_weight(call)
    if kept is not None:
        return kept
    recorder, axes = call.recorder, _axes(call)
    count, source = count_of(call.ins[0].shape, axes), call.activation(0)
    if count == 1:
        return call.view("squeeze")
    if call.name == "reduce_min":  # the largest of the negatives, negative
        shape = call.ins[0].shape
        negatives = recorder.emit("pointwise", [source], shape, fn=np.negative, label="neg")
        made = recorder.emit("max", [negatives], call.shape, count=count, label="amin")
        least = recorder.emit("pointwise", [made], call.shape, fn=np.negative, label="neg")
        return least
    dim, parts = recorder.stacks.get(source.node, (None, []))
    if len(parts) > 1 and axes == [dim]:
        return of_stack(recorder, "max", parts, call.shape)
    found = recorder.emit("max", [source], call.shape, count=count, label="amax")
    note_largest(call, found)
    return found


def _some(op: Op, count: Callable[[Call], float], label: str) -> Callable[[Call], TensorEntry]:
    def reduce(call: Call) -> TensorEntry:
        kept = _keep_weight(call)
        if kept is not None:
            return kept
        made = call.recorder.emit(
            op, [call.activation(0)], call.shape, count=count(call), label=label
        )
        return made

    return reduce


def _half(call: Call) -> float:
    """Of a running sum, how many terms there are on average."""
    return (call.ins[0].shape[int(call.params["axis"])] + 1) / 2


def _count_terms(call: Call) -> float:
    """Of a spectrum, how many terms are summed; an inverse takes their mean."""
    count = float(math.prod(int(size) for size in call.params["fft_lengths"]))
    inverse = "IFFT" in str(call.params["fft_type"]).upper()
    return 1 / count if inverse else count


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    "reduce_sum": total,
    **dict.fromkeys(("reduce_max", "reduce_min"), largest),
    **dict.fromkeys(("cumsum", "cumlogsumexp"), _some("sum", _half, "cumsum")),
    **dict.fromkeys(("cummax", "cummin"), _some("max", _half, "cummax")),
    "fft": _some("sum", _count_terms, "fft"),
    **dict.fromkeys(("reduce_window_sum", "reduce_window_max", "reduce_window_min"), window),
}
