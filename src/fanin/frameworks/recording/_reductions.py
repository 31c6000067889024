"""Reductions: those that are sums of what was stacked, or maps by a parameter."""

import math
from collections.abc import Sequence

import numpy as np

from fanin.frameworks.recording._record import ActivationTensor, Recorder
from fanin.graph import Op


def of_stack(
    recorder: Recorder, op: Op, parts: Sequence[ActivationTensor], shape: Sequence[int]
) -> ActivationTensor:
    """A reduction over the very dimension along which its parts were stacked."""
    made = parts[0]
    for part in parts[1:]:
        if op == "max":
            sources = [made, part]
            made = recorder.emit("pointwise", sources, shape, fn=np.maximum, label="maximum")
        else:
            made = recorder.emit("add", [made, part], shape)
    return made if op != "mean" else share_out(recorder, made, len(parts), shape)


def share_out(
    recorder: Recorder, value: ActivationTensor, count: float, shape: Sequence[int]
) -> ActivationTensor:
    """An activation over a number."""
    return recorder.emit(
        "pointwise", [value], shape, fn=lambda x: x / count, label=f"div {count:.6g}"
    )


def inner_product(
    recorder: Recorder,
    source: ActivationTensor,
    dims: Sequence[int],
    product: Sequence[int],
    shape: Sequence[int],
) -> ActivationTensor | None:
    """(x * w).sum over axes that w has: a linear map, as the attention vectors of graphs are.

    `product` and `shape` are those of what is summed, and of the sums; None for another sum.
    """
    value, weight = recorder.factors.get(source.node, (source, None))
    stored = None if weight is None or len(weight.parts) != 1 else weight.parts[0].dims
    if weight is None or stored is None:
        return None
    read = recorder.nodes[value.node].shape
    roles, fans = [], {"in": 1, "out": 1, "stack": 1}
    for back in range(len(stored), 0, -1):
        size = math.prod(atom.size for atom in stored[-back] if atom.axis is not None)
        summed = len(product) - back in dims and size > 1
        shown = read[-back] if back <= len(read) else 1
        roles.append("in" if summed else "stack" if shown > 1 or size == 1 else "out")
        fans[roles[-1]] *= size
    if fans["in"] == 1:
        return None
    features = max(len(shape) - 1, 0)
    ends = (fans["in"], fans["out"])
    return recorder.linear(value, weight, roles, shape, features=features, fans=ends, label="inner")
