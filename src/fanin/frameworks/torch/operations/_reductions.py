"""Reductions: normalizations, means, sums, maxima and softmax."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from fanin.frameworks.recording._record import ActivationTensor, Statistic, TensorEntry
from fanin.frameworks.recording._reductions import inner_product, of_stack, share_out
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.frameworks.torch.operations._moves import features_of
from fanin.frameworks.torch.record._call import Call
from fanin.graph import Op


def _keep_weight(call: Call, tensor: Tensor) -> ParameterTensor | None:
    """A parameter's own entry after this function of it."""
    entry = call.entry(tensor)
    if not isinstance(entry, ParameterTensor):
        return None
    made = entry.through(call.name.removeprefix("native_"), tuple(tensor.shape) == call.shape)
    others = [call.get(name) for name in ("weight", "bias")]
    scales = [
        call.entry(other) for other in others if isinstance(other, Tensor) and other is not tensor
    ]
    return made.scale_by([scale for scale in scales if isinstance(scale, ParameterTensor)])


def _norm(call: Call, label: str, batch: bool = False) -> TensorEntry:
    tensor = call["input"]
    kept = _keep_weight(call, tensor)
    if kept is not None:
        return kept
    recorder = call.recorder
    value = call.activation(tensor)
    if _of_single_values(call, label):  # x - x
        made = recorder.emit("pointwise", [value], call.shape, fn=np.zeros_like, label=label)
    else:
        made = recorder.emit("normalize", [value], call.shape, label=label, over_batch=batch)
    for name, op in (("weight", "scale"), ("bias", "shift")):
        made = _affine(call, made, call.get(name), op)
    return made


def _of_single_values(call: Call, label: str) -> bool:
    """Whether a norm takes the mean of every value alone away, which leaves nothing."""
    if label == "layer_norm":
        return bool(math.prod(call["normalized_shape"]) == 1)
    return label == "group_norm" and math.prod(call.first.shape[1:]) == int(call["group"])


def _affine(call: Call, value: ActivationTensor, tensor: Any, op: Any) -> ActivationTensor:
    """A norm's own scale or shift, where it is a parameter; constants there are 1 and 0."""
    entry = call.entry(tensor) if isinstance(tensor, Tensor) else None
    if isinstance(entry, ParameterTensor):
        return call.recorder.add_elementwise(op, value, entry, call.shape)
    if isinstance(entry, ActivationTensor):
        sources = [value, entry]
        return call.recorder.emit("mul" if op == "scale" else "add", sources, call.shape)
    return value


def _batch_norm(call: Call) -> TensorEntry:
    rows = call["input"].shape[0]
    running = call.get("running_mean") is not None
    # Instance normalization runs as a batch of one, without running statistics.
    alone = not running and rows == 1
    return _norm(call, "instance_norm" if alone else "batch_norm", batch=not alone)


def _count(call: Call, dims: Any) -> tuple[float, list[int]]:
    shape = call.first.shape
    if dims is None or dims == []:
        chosen = list(range(len(shape)))
    else:
        given = dims if isinstance(dims, (list, tuple)) else [dims]
        chosen = [int(dim) % max(len(shape), 1) for dim in given]
    return float(math.prod(shape[dim] for dim in chosen)), chosen


def reduce(call: Call, op: Op, count: float, label: str = "") -> TensorEntry:
    """A reduction of one activation, of `count` elements each."""
    kept = _keep_weight(call, call.first)
    if kept is not None:
        return kept
    if count == 1 and op in ("mean", "sum", "max"):
        return call.view("squeeze")
    source = call.activation(call.first)
    dims = _count(call, call.get("dim"))[1] if op in ("sum", "mean") else []
    product = inner_product(call.recorder, source, dims, tuple(call.first.shape), call.shape)
    if product is not None:
        return product if op == "sum" else share_out(call.recorder, product, count, call.shape)
    dim, parts = call.recorder.stacks.get(source.node, (None, []))
    if len(parts) > 1 and _count(call, call.get("dim"))[1] == [dim]:
        return of_stack(call.recorder, op, parts, call.shape)
    return call.recorder.emit(op, [source], call.shape, count=count, label=label or call.name)


def _follow_statistic(
    call: Call, made: TensorEntry, dims: Sequence[int], what: str, power: float, factor: float
) -> TensorEntry:
    """Notes that a result is a statistic of the rows of its input."""
    source = call.entry(call.first)
    if isinstance(made, ActivationTensor) and isinstance(source, ActivationTensor):
        call.recorder.statistics[made.node] = Statistic(
            what, source.node, power, factor, positions=features_of(call, source.node) not in dims
        )
    return made


def mean(call: Call) -> TensorEntry:
    """Means, which may be the statistics of a normalization."""
    count, dims = _count(call, call.get("dim"))
    made = reduce(call, "mean", count, "mean")
    return _maybe_square(call, made, dims, 1.0)


def total(call: Call) -> TensorEntry:
    """Sums."""
    count, dims = _count(call, call.get("dim"))
    made = reduce(call, "sum", count, "sum")
    return _maybe_square(call, made, dims, count)


def _maybe_square(call: Call, made: TensorEntry, dims: Sequence[int], factor: float) -> TensorEntry:
    source = call.entry(call.first)
    if not isinstance(made, ActivationTensor) or not isinstance(source, ActivationTensor):
        return made
    squared = call.recorder.squares.get(source.node)
    what = "mean" if squared is None else "square"
    _follow_statistic(call, made, dims, what, 1.0, factor)
    if squared is not None:
        known = call.recorder.statistics[made.node]
        call.recorder.statistics[made.node] = Statistic(what, squared, 1.0, factor, known.positions)
    return made


def variance(call: Call) -> TensorEntry | list[TensorEntry]:
    """var, std and var_mean."""
    count, dims = _count(call, call.get("dim"))
    power = 0.5 if call.name.startswith("std") else 1.0
    made = _follow_statistic(
        call, reduce(call, "mean", count, call.name), dims, "variance", power, 1.0
    )
    if not call.name.endswith("_mean"):
        return made
    average = _follow_statistic(call, reduce(call, "mean", count, "mean"), dims, "mean", 1.0, 1.0)
    return [made, average]


def vector_norm(call: Call) -> TensorEntry:
    """The root of the sum of squares; other orders are sums."""
    count, dims = _count(call, call.get("dim"))
    order = call.number(call.get("ord") if "ord" in call.arguments else call.get("p"))
    made = reduce(call, "sum", count, "norm")
    if order not in (None, 2.0):
        return made
    return _follow_statistic(call, made, dims, "square", 0.5, math.sqrt(count))


def largest(call: Call) -> TensorEntry:
    """Maxima and minima over dimensions."""
    count, _ = _count(call, call.get("dim"))
    if call.name not in ("min", "amin") or isinstance(call.entry(call.first), ParameterTensor):
        return reduce(call, "max", count)
    source = call.activation(call.first)  # the largest of the negatives, negative
    recorder, shape = call.recorder, call.first.shape
    negatives = recorder.emit("pointwise", [source], shape, fn=np.negative, label="neg")
    made = recorder.emit("max", [negatives], call.shape, count=count, label=call.name)
    return recorder.emit("pointwise", [made], call.shape, fn=np.negative, label="neg")


def log_sum_exp(call: Call) -> TensorEntry:
    """The logarithm of a sum of exponentials, step by step."""
    kept = _keep_weight(call, call.first)
    if kept is not None:
        return kept
    count, _ = _count(call, call.get("dim"))
    source, shape = call.activation(call.first), call.shape
    recorder = call.recorder
    powers = recorder.emit("pointwise", [source], call.first.shape, fn=np.exp, label="exp")
    made = recorder.emit("sum", [powers], shape, count=count, label=call.name)
    return recorder.emit("pointwise", [made], shape, fn=np.log, label="log")


def softmax(call: Call) -> TensorEntry:
    """Softmax over one dimension."""
    kept = _keep_weight(call, call.first)
    if kept is not None:
        return kept
    source = call.activation(call.first)
    label = "log_softmax" if "log" in call.name else "softmax"
    count = call.first.shape[call.dim()] if call.shape else 1
    return call.recorder.emit("softmax", [source], call.shape, label=label, count=count)


def _running_sum(call: Call) -> TensorEntry:
    return reduce(call, "sum", (call.first.shape[call.dim()] + 1) / 2)


def _spectrum(call: Call) -> TensorEntry:
    count, _ = _count(call, call["dim"])
    # Normalization 0 sums n terms; 1 divides by their root; 2 takes their mean.
    count = {0: count, 1: 1.0, 2: 1 / count}[int(call["normalization"])]
    source = call.activation(call.first)
    return call.recorder.emit("sum", [source], call.shape, count=count, label="fft")


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    **dict.fromkeys(("native_layer_norm", "layer_norm"), lambda call: _norm(call, "layer_norm")),
    "native_group_norm": lambda call: _norm(call, "group_norm"),
    **dict.fromkeys(("_fused_rms_norm", "rms_norm"), lambda call: _norm(call, "rms_norm")),
    **dict.fromkeys(
        (
            *("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm"),
            *("_native_batch_norm_legit_functional", "_native_batch_norm_legit_no_training"),
            *("_batch_norm_with_update", "_batch_norm_no_update", "miopen_batch_norm"),
        ),
        _batch_norm,
    ),
    "mean": mean,
    **dict.fromkeys(("sum", "nansum"), total),
    **dict.fromkeys(("var", "std", "var_mean", "std_mean"), variance),
    **dict.fromkeys(("linalg_vector_norm", "norm"), vector_norm),
    **dict.fromkeys(("max", "amax", "min", "amin", "aminmax", "median"), largest),
    "logsumexp": log_sum_exp,
    **dict.fromkeys(("_softmax", "_safe_softmax", "softmax"), softmax),
    **dict.fromkeys(("_log_softmax", "log_softmax"), softmax),
    **dict.fromkeys(("cumsum", "logcumsumexp"), _running_sum),
    **dict.fromkeys(("_fft_r2c", "_fft_c2r", "_fft_c2c"), _spectrum),
}
