"""Pools: means that are written as a sum and a quotient, of rows and of windows."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.jax.record._record import Recorder
from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.graph import Op, Values


def _behind(recorder: Recorder, node: int) -> int:
    """What a node shows in another shape."""
    while recorder.nodes[node].op == "view" and node not in recorder.sums:
        node = recorder.nodes[node].inputs[0]
    return node


def find_mean(
    call: Call, value: ActivationTensor, divisor: int, divides: bool
) -> ActivationTensor | None:
    """A sum over how many it has; None for another quotient."""
    recorder = call.recorder
    node = _behind(recorder, value.node)
    if node in recorder.windows:
        return _of_windows(call, value, node, divisor) if divides else None
    number = call.number(divisor)
    if node not in recorder.sums or not number:
        return None
    source, count = recorder.sums[node]
    if not math.isclose(number if divides else 1 / number, count, rel_tol=1e-5):
        return None
    if recorder.nodes[node].op != "sum":
        return None
    made = recorder.emit("mean", [ActivationTensor(source)], call.shape, count=count, label="mean")
    known = recorder.statistics.get(node)
    if known is not None:
        recorder.statistics[made.node] = replace(known, factor=known.factor / count)
    return recorder.follow(value, made)


def _of_windows(
    call: Call, value: ActivationTensor, node: int, divisor: int
) -> ActivationTensor | None:
    """A sum over windows over how many elements they have: it becomes their mean."""
    recorder = call.recorder
    terms, axes = recorder.windows[node]
    known, shape = call.value(divisor), recorder.nodes[node].shape
    if known is None:
        return None
    number = call.number(divisor)
    if number is None and call.shape != shape:
        return None
    divisors = np.broadcast_to(np.asarray(known if number is None else number, float), shape)
    held = np.broadcast_to(terms, shape)
    whole = all(shape[axis] == 1 for axis in axes)
    factor = None
    if np.array_equal(held, divisors):
        count = 1 / float(np.mean(1 / held))
    else:
        alone = float(np.mean(held / divisors**2))
        level = float(np.mean((held / divisors) ** 2))
        count, factor, whole = level / alone, math.sqrt(level), False
    op: Op = "mean" if whole else "pool"
    recorder.replace_node(node, op=op, count=count, label="avg_pool", factor=factor)
    return value


def _place(recorder: Recorder, source: int, made: ActivationTensor) -> ActivationTensor:
    """Features stay in their dimension."""
    layout = recorder.layout_of(source)
    if layout is not None:
        dims = [
            atoms
            if any(atom.axis == layout.features for atom in atoms)
            else tuple(atom._replace(size=size) for atom in atoms[:1])
            for atoms, size in zip(layout.dims, recorder.nodes[made.node].shape, strict=True)
        ]
        recorder.layouts[made.node] = replace(layout, dims=tuple(dims))
    return made


def window(call: Call) -> TensorEntry:
    """Sums and maxima over windows."""
    sizes = call.params["window_dimensions"]
    count = float(math.prod(sizes))
    recorder = call.recorder
    if isinstance(call.entries[0], ParameterTensor):
        return call.entries[0].through(call.name)
    source = call.activation(0)
    axes = [axis for axis, size in enumerate(sizes) if size > 1]
    op: Op = "sum" if call.name.endswith("sum") else "max"
    if count == 1:
        return call.view("slice")
    value = source
    if call.name.endswith("min"):
        value = recorder.emit("pointwise", [value], call.ins[0].shape, fn=np.negative, label="neg")
    made = recorder.emit(op, [value], call.shape, count=count, label=_LABELS[op])
    if op == "sum":
        recorder.windows[made.node] = _terms(call), axes
    _place(recorder, source.node, made)
    if call.name.endswith("min"):
        made = recorder.emit("pointwise", [made], call.shape, fn=np.negative, label="neg")
    return made


_LABELS = {"sum": "sum_pool", "max": "max_pool"}


def _terms(call: Call) -> Values:
    """How many elements every window holds, zeros around the map left out."""
    lines = []
    for axis, size in enumerate(call.params["window_dimensions"]):
        low, _ = call.params["padding"][axis]
        step = call.params["window_dilation"][axis]
        start = np.arange(call.shape[axis]) * call.params["window_strides"][axis] - low
        places = start[:, None] + step * np.arange(size)
        inside = (places >= 0) & (places < call.ins[0].shape[axis])
        shape = [1] * len(call.shape)
        shape[axis] = call.shape[axis]
        lines.append(inside.sum(1).astype(float).reshape(shape))
    terms = lines[0]
    for line in lines[1:]:
        terms = terms * line
    return np.asarray(terms)


def count_of(shape: Sequence[int], axes: Sequence[int]) -> float:
    """How many elements are reduced to one."""
    return float(math.prod(shape[axis] for axis in axes))
