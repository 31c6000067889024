"""Seen: the sizes that a graph's nodes have in a run with the values that the model holds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from fanin.errors import FaninError, one_line
from fanin.frameworks.observing._seen import NO_VALUES, check_alike, refuse_constant
from fanin.frameworks.recording._finish import prune
from fanin.frameworks.torch.observe._observe import observe
from fanin.frameworks.torch.runs._alone import run_alone
from fanin.frameworks.torch.runs._inputs import call_arguments
from fanin.frameworks.torch.runs._tensors import tensors_in
from fanin.frameworks.torch.trace._failure import has_values, locate
from fanin.frameworks.torch.tree._names import find_wrapped
from fanin.graph import Graph


def measure(model: nn.Module, inputs: Any, graph: Graph, rename: Mapping[str, str] | None) -> Graph:
    """The graph of `trace` with the mean squares of its nodes, from one real run in train mode.

    Nodes without a real tensor of their own are left out. The model is afterwards as it was.
    Raises FaninError where model or inputs have no values, where all of an input is one number,
    or where other operations ran.
    """
    while (attribute := find_wrapped(model)) is not None:
        model = model.get_submodule(attribute)
    arguments = call_arguments(inputs)
    if not has_values(model, arguments):
        raise FaninError(NO_VALUES)
    for tensor in tensors_in(arguments):
        real = tensor.is_floating_point() and tensor.layout is torch.strided
        if real and tensor.numel() > 1 and not tensor.std() > 0:
            refuse_constant(tensor.shape)
    devices = {held.device for held in model.parameters() if held.is_cuda}
    with run_alone(seeded=True, devices=[*devices]), torch.no_grad(), _training(model):
        try:
            seen = observe(model, inputs, rename=rename)
        except Exception as error:
            raise FaninError(
                f"{locate(model, error)} does not run on these inputs: "
                f"{one_line(error, named=True)}."
            ) from error
    run, places = prune(seen.nodes, seen.outputs)
    check_alike(run, graph)
    sizes = {new: size**2 for old, new in places.items() if (size := seen.rms[old]) is not None}
    same = frozenset(new for old, new in places.items() if old in seen.constant)
    return replace(graph, measured=sizes, constant=same)


@contextmanager
def _training(model: nn.Module) -> Iterator[None]:
    """All modules in train mode, as they are traced."""
    modes = {module: module.training for module in model.modules()}
    try:
        for module in modes:
            module.training = True
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
