"""Aggregate: sums, means and maxima over what integers or a known matrix pick, as of neighbours."""

import math
from typing import Any

import torch
from torch import Tensor

from fanin.frameworks.recording._record import ActivationTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.frameworks.torch.record._call import Call
from fanin.graph import Op

_KINDS: dict[str, Op] = {"sum": "sum", "mean": "pool", "amax": "max", "amin": "max"}


def aggregates(call: Call) -> bool:
    """Whether an operation adds up elements that are no constants where its integers say."""
    if call.name == "index_put":
        return bool(call["accumulate"]) and _is_real(call, call["values"])
    if call.name == "scatter_reduce" and call["reduce"] not in _KINDS:
        return False
    return call.name in ("index_add", "scatter_add", "scatter_reduce") and _is_real(
        call, _values(call)
    )


def _values(call: Call) -> Tensor:
    tensor = next(call[name] for name in ("source", "src", "values") if name in call.arguments)
    assert isinstance(tensor, Tensor)
    return tensor


def _is_real(call: Call, tensor: Any) -> bool:
    return call.recorder.is_real(call.entry(tensor))


def aggregate(call: Call) -> TensorEntry:
    """index_add, scatter and their kind: a reduction, added to what was there."""
    recorder, values = call.recorder, _values(call)
    op = _KINDS[str(call.get("reduce") or "sum")]
    made = recorder.emit(
        op, [call.activation(values)], call.shape, count=_terms(call, values), label=call.name
    )
    if not _is_real(call, call["self"]) or call.get("include_self") is False:
        return made
    return recorder.emit("add", [call.activation(call["self"]), made], call.shape)


def _terms(call: Call, values: Tensor) -> float:
    """How many are summed: the root mean square where it is known, else the mean."""
    counts = _counts(call, values)
    if counts is not None and bool(counts.any()):
        return float(counts.square().mean().sqrt())
    return values.numel() / max(math.prod(call.shape), 1)


def _counts(call: Call, values: Tensor) -> Tensor | None:
    """How many terms every sum has."""
    if call.name == "index_put":
        given = [item for item in call["indices"] if item is not None]
        if len(given) != 1 or call["indices"][0] is None:
            return None
        index, size = given[0], call.shape[0]
    else:
        index, size = call["index"], call.shape[call.dim()]
    entry = call.entry(index)
    known = None if isinstance(entry, ParameterTensor) else entry.value
    if known is None or known.dtype == torch.bool:
        return None
    if index.dim() > 1:  # one index for every element: those along the dimension are alike
        known = known.movedim(call.dim(), 0)[:, *(0,) * (index.dim() - 1)]
    return torch.bincount(known % size, minlength=size).double()


def mixing_product(call: Call, a: Tensor, b: Tensor, shape: Any) -> ActivationTensor | None:
    """a @ b, where the one is known and mixes the positions of the other; None for others.

    A matrix on the right mixes what lies along the last axis, where that is not the features'.
    """
    known = is_known(call, a), is_known(call, b)
    if known == (True, False):
        return mixing(call, a, b, shape)
    if known == (False, True) and _lie_positions_last(call, a, b):
        return mixing(call, b, a, shape, columns=True)
    return None


def _lie_positions_last(call: Call, values: Tensor, matrix: Tensor) -> bool:
    """Whether the last axis of activations is one of positions; a graph's, if an input says so."""
    if isinstance(call.entry(matrix), ActivationTensor):
        return True
    layout = call.recorder.layouts.get(call.activation(values).node)
    if layout is None or len(layout.dims) != values.dim() or values.dim() < 2:
        return False
    return all(atom.axis != layout.features for atom in layout.dims[-1])


def mixing(
    call: Call,
    matrix: Tensor,
    values: Tensor,
    shape: Any,
    *,
    summed: int = -1,
    columns: bool = False,
) -> ActivationTensor | None:
    """Known numbers times activations: positions are mixed, as a graph's adjacency does.

    None where the numbers are not known; their dimensions from `summed` on are, or their
    `columns`. With rows r the output has the second moment mean(sum r**2) (second - shared) +
    mean((sum r)**2) shared: a sum of `terms`, times a factor.
    """
    entry = call.entry(matrix)
    known = None if isinstance(entry, ParameterTensor) else entry.value
    if known is None or known.is_complex() or not known.numel():
        return None
    whole = known if known.layout is torch.strided else known.to_dense()
    rows = (whole.mT if columns else whole).double().flatten(summed)
    squares = float(rows.square().sum(-1).mean())
    together = float(rows.sum(-1).square().mean())
    if not 0 < squares < math.inf:
        return None
    terms = max(together / squares, 1.0)
    factor = math.sqrt(squares / terms)
    source = call.activation(values)
    made = call.recorder.emit("sum", [source], shape, count=terms, label="mix")
    made = call.recorder.times(made, factor)
    return call.recorder.follow(source, made) if tuple(shape) == tuple(values.shape) else made


def is_known(call: Call, tensor: Tensor) -> bool:
    """Whether the values of a tensor are known: constants, and what follows from integers."""
    entry = call.entry(tensor)
    if isinstance(entry, ParameterTensor) or entry.value is None:
        return False
    return isinstance(entry, ActivationTensor) or entry.noise is None
