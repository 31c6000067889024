"""Recurrent modules: one node for a call of an LSTM, a GRU or an RNN, or of a cell of one."""

import re
from dataclasses import replace
from typing import Any

from torch import nn

from fanin.frameworks.recording._record import ActivationTensor
from fanin.frameworks.recording._weights import ParameterTensor, Part, gates_use, plain_use
from fanin.frameworks.torch.record._record import Recorder
from fanin.frameworks.torch.runs._tensors import tensors_in
from fanin.frameworks.torch.tree._recurrent import Recurrent, gates_of, kind_of
from fanin.graph import Use

_READS_INPUT = re.compile(r"weight_ih(_l(?P<layer>\d+)(_reverse)?)?")  # torch's names, cells' too


def record_recurrent(recorder: Recorder, module: nn.Module, inputs: Any, output: Any) -> int | None:
    """One node, whose place it returns; everything that the module returned is its result."""
    uses = tuple(
        _use(module, name, part)
        for name, tensor in module.named_parameters()
        if isinstance(entry := recorder.entry(tensor), ParameterTensor)
        for part in entry.parts
    )
    made: ActivationTensor | None = None
    for tensor in tensors_in(output):
        if not tensor.is_floating_point():
            continue
        if made is None:
            sources = [
                entry
                for item in tensors_in(inputs)
                if item.is_floating_point()  # not the sizes in a packed sequence
                and isinstance(entry := recorder.entry(item), ActivationTensor)
            ]
            made = recorder.emit(
                "recurrent",
                sources,
                tensor.shape,
                label=kind_of(module),
                uses=uses,
            )
            recorder.set(tensor, made)
        else:
            shape = tensor.shape
            recorder.set(tensor, recorder.emit("view", [made], shape, label="state"))
    return None if made is None else made.node


def _use(module: nn.Module, name: str, part: Part) -> Use:
    if isinstance(module, Recurrent):
        axes, layer = module.uses[name]
        return Use(part.name, axes, part.through, layer=layer)
    if len(part.shape) < 2:
        return plain_use(part)
    own = part.name.rpartition(".")[2]
    use = gates_use(part, 1 if own.startswith("weight_hr") else gates_of(module))
    found = _READS_INPUT.fullmatch(own)
    return use if found is None else replace(use, layer=int(found["layer"] or 0))
