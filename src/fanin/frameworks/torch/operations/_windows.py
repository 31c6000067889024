"""Windows: pools, upsampling by lines, and sums of patches where they overlap."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812
from torch.utils._python_dispatch import _disable_current_modes

from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.torch.operations._reductions import reduce
from fanin.frameworks.torch.record._call import Call
from fanin.graph import Values

_FEW = 64  # positions, of which more are interpolated alike


@dataclass(frozen=True, slots=True)
class _Windows:
    """How many elements the windows along one axis hold, and what each divides their sum by."""

    terms: Values
    divisors: Values


def _per_axis(given: Sequence[int], rank: int) -> list[int]:
    sizes = [int(item) for item in given]
    return sizes if len(sizes) == rank else sizes[:1] * rank


def _rank(call: Call) -> int:
    """How many axes a pool has: its name says it."""
    return next((rank for rank in (1, 2, 3) if f"{rank}d" in call.name), call.first.dim() - 2)


def window(call: Call) -> TensorEntry:
    """Pools with a window."""
    rank = _rank(call)
    if "max" in call.name:
        return reduce(call, "max", float(math.prod(_per_axis(call["kernel_size"], rank))))
    windows = _find_windows(call, rank)
    inside = all((each.terms == each.divisors).all() for each in windows)
    if call.get("divisor_override") is None and inside:
        return _average(call, rank, windows)
    alone = _mean_of(each.terms / each.divisors**2 for each in windows)
    level = _mean_of((each.terms / each.divisors) ** 2 for each in windows)
    made = reduce(call, "pool", level / alone)
    if isinstance(made, ActivationTensor):
        factor = math.sqrt(level) / float(call.get("divisor_override") or 1)
        call.recorder.replace_node(made.node, factor=factor)
    return made


def _mean_of(axes: Iterable[Values]) -> float:
    """The mean over a map of what is a product over its axes."""
    return math.prod(float(np.mean(each)) if each.size else 1.0 for each in axes)


def _find_windows(call: Call, rank: int) -> list[_Windows]:
    """The windows of an average, which may count the zeros that are put around the map."""
    kernel = _per_axis(call["kernel_size"], rank)
    stride = _per_axis(call.get("stride") or kernel, rank)
    padding = _per_axis(call["padding"], rank)
    found = []
    for size, after, *how in zip(
        call.first.shape[-rank:], call.shape[-rank:], kernel, stride, padding, strict=True
    ):
        width, step, around = how
        start = np.arange(after) * step - around
        end = np.minimum(start + width, size + around)
        terms = (np.minimum(end, size) - np.maximum(start, 0)).astype(float)
        divisors = terms
        if call.get("divisor_override") is not None:
            divisors = np.ones_like(terms)
        elif call["count_include_pad"]:
            divisors = (end - start).astype(float)
        found.append(_Windows(terms, divisors))
    return found


def adaptive(call: Call) -> TensorEntry:
    """Pools to a given size, with windows that overlap where it is no divisor of the map's."""
    rank = _rank(call)
    windows = []
    for size, after in zip(call.first.shape[-rank:], call.shape[-rank:], strict=True):
        places = np.arange(after)
        terms = (-(-(places + 1) * size // after) - places * size // after).astype(float)
        windows.append(_Windows(terms, terms))
    if "max" in call.name:
        return reduce(call, "max", _mean_of(each.terms for each in windows))
    return _average(call, rank, windows)


def _average(call: Call, rank: int, windows: Sequence[_Windows]) -> TensorEntry:
    """Means of all elements in a window: of as many as a mean of squares shows."""
    count = 1 / _mean_of(1 / each.terms for each in windows)
    whole = tuple(call.shape[-rank:]) == (1,) * rank
    return reduce(call, "mean" if whole else "pool", count)


def interpolate(call: Call) -> TensorEntry:
    """Upsampling by lines: every position is a weighted mean of its neighbours.

    A mean of n with weights w is as large as one over 1 / sum w**2 of them, on average.
    """
    rank = call.first.dim() - 2
    align = bool(call.get("align_corners"))
    terms = 1.0
    for before, after in zip(call.first.shape[-rank:], call.shape[-rank:], strict=True):
        with _disable_current_modes():
            few = min(before, _FEW)
            ones = torch.eye(few, dtype=torch.float64, device="cpu")[None]
            size = max(after * few // before, 1)
            weights = F.interpolate(ones, size=size, mode="linear", align_corners=align)
            terms /= float(weights.square().sum(1).mean())
    return reduce(call, "pool", terms)


def overlapping(call: Call) -> TensorEntry:
    """Patches summed where they overlap; copies of one element, as unfold makes them, add up."""
    copies = [_copies(call, axis) for axis in range(2)]
    source = call.activation(call.first)
    if not _shows_patches(call, source):
        return reduce(call, "sum", _mean_of(copies))
    factor = math.sqrt(_mean_of(each**2 for each in copies))
    return call.recorder.times(source, factor, call.shape)


def _copies(call: Call, axis: int) -> Values:
    """In how many patches every position of an axis is."""
    names = ("output_size", "kernel_size", "stride", "padding", "dilation")
    size, width, step, around, apart = (int(call[name][axis]) for name in names)
    reach = apart * (width - 1) + 1
    patches = (size + 2 * around - reach) // step + 1
    places = np.arange(patches)[:, None] * step + np.arange(width) * apart - around
    inside = places[(places >= 0) & (places < size)]
    return np.bincount(inside, minlength=size).astype(float)


def _shows_patches(call: Call, source: ActivationTensor) -> bool:
    """Whether these are the patches of a map of this size, or a function element by element."""
    nodes, shape = call.recorder.nodes, tuple(call.first.shape)
    node = nodes[source.node]
    while node.function != "im2col":
        moved = node.op not in ("view", "pointwise") or {"part", "moved"} & node.flags
        if moved or len(set(node.inputs)) != 1:
            return False
        node = nodes[node.inputs[0]]
    return node.shape == shape and nodes[node.inputs[0]].shape[-2:] == call.shape[-2:]


TABLE: dict[str, Callable[[Call], TensorEntry | list[TensorEntry]]] = {
    **dict.fromkeys(
        (
            *("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d"),
            *("avg_pool3d", "max_pool1d", "max_pool2d", "mkldnn_max_pool2d"),
        ),
        window,
    ),
    **dict.fromkeys(
        (
            *("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d"),
            *("adaptive_max_pool2d", "adaptive_max_pool3d", "adaptive_avg_pool2d"),
        ),
        adaptive,
    ),
    "col2im": overlapping,
    **dict.fromkeys(
        ("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d"), interpolate
    ),
}
