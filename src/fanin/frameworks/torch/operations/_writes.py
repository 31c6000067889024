"""Writes: operations that put one tensor into a part of another."""

import math
from dataclasses import replace

from torch import Tensor

from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.torch.operations._aggregate import aggregate, aggregates
from fanin.frameworks.torch.operations._masks import write_by_mask
from fanin.frameworks.torch.record._call import Call

ONE_HOT = "one_hot"  # the label of ones at computed positions, which pick rows of a table


def write(call: Call) -> TensorEntry:
    """One tensor written into a part of another."""
    names = ("self", "src", "source", "values", "value")
    tensors = [call[name] for name in names if isinstance(call.get(name), Tensor)]
    real = [tensor for tensor in tensors if not isinstance(call.entry(tensor), ConstantTensor)]
    chosen = call.get("index")
    if not real and call.name == "scatter" and isinstance(chosen, Tensor):
        entry = call.entry(chosen)  # a constant is written at positions that were computed
        if isinstance(entry, ActivationTensor):
            return call.recorder.emit("view", [entry], call.shape, label=ONE_HOT)
    if call.name == "copy" or not real:
        return _same_as(call, call.get("src") if call.name == "copy" else call.first)
    picked = write_by_mask(call)
    if picked is not None:
        return picked
    if aggregates(call):
        return aggregate(call)
    sources = [call.activation(item) for item in real]
    if len(real) == 1 and sources[0].node in call.recorder.parametric:
        sources += _constants_beside(call, tensors)
    if len(sources) == 1:
        return call.recorder.emit("view", sources, call.shape, label="write")
    return call.recorder.emit("concat", sources, call.shape, label="write")


def _constants_beside(call: Call, tensors: list[Tensor]) -> list[ActivationTensor]:
    """Constants other than zeros that stand beside parameters, such as a triangle's ones."""
    found = []
    for tensor in tensors:
        entry = call.entry(tensor)
        if isinstance(entry, ConstantTensor) and entry.value is not None and entry.value.any():
            places = [item for item in call.get("indices") or [] if item is not None]
            shape = max((item.shape for item in (tensor, *places)), key=math.prod)
            found.append(call.recorder.buffer(entry, shape))
    return found


def _same_as(call: Call, tensor: Tensor) -> TensorEntry:
    """The entry of a tensor, under the shape of the result."""
    entry = call.entry(tensor)
    if isinstance(entry, ActivationTensor) and tuple(tensor.shape) != call.shape:
        return call.recorder.emit("view", [entry], call.shape, label="expand")
    return replace(entry, value=None) if isinstance(entry, ConstantTensor) else entry
