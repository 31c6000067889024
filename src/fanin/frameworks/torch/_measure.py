"""Measure: variances of module outputs on a batch, under weights that the model never gets."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.frameworks.torch._call import flat_tensors
from fanin.frameworks.torch._names import canonical_names, module_paths, wrapped
from fanin.frameworks.torch._slot import Slot
from fanin.frameworks.torch._slots import slots
from fanin.initializers import Initializer


class TorchProbe:
    """Copies of a model's parameters and buffers, and a batch that it runs on with them.

    The model, its random state and its running statistics are as they were after every call.
    Modules run in the mode that they are in, but that dropout is off. `inputs` are as for
    `trace`, with values that matter here. Raises FaninError where the model has no memory yet.
    """

    def __init__(
        self, model: nn.Module, inputs: Any, seed: int = 0, rename: Mapping[str, str] | None = None
    ) -> None:
        while (attribute := wrapped(model)) is not None:
            model = model.get_submodule(attribute)
        self.model, self.seed = model, seed
        self.args = () if isinstance(inputs, dict) else inputs
        self.args = self.args if isinstance(self.args, tuple) else (self.args,)
        self.kwargs = inputs if isinstance(inputs, dict) else {}
        self.modules = {path: module for module, path in module_paths(model).items()}
        tensors = canonical_names(model, rename)
        own = {id(tensor): name for name, tensor in model.named_parameters()}
        empty = [name for name, tensor in tensors.items() if tensor.is_meta]
        if empty:
            raise FaninError(
                f"{empty[0]} of shape {tuple(tensors[empty[0]].shape)} has no memory, and "
                "measuring runs the model. Call model.to_empty(device='cpu') first."
            )
        held = [*model.named_parameters(), *model.named_buffers()]
        self.copies = {name: tensor.detach().clone() for name, tensor in held}
        self.slots = {
            slot.param.name: Slot(
                slot.param, self.copies[own[id(tensors[slot.param.name])]], slot.padding_row
            )
            for slot in slots(model, rename=rename)
        }

    def write(self, name: str, initializer: Initializer, axes: Axes | None) -> None:
        """Give a parameter's copy the values that a plan gives it."""
        self.slots[name].write(initializer, self.seed, axes)

    def variance(self, module: str) -> float:
        """The variance of the first tensor that a module returns, when it first runs."""
        found: list[float] = []

        def look(_: nn.Module, args: Any, output: Any) -> None:
            if not found:
                first = next(one for one in flat_tensors(output) if one.is_floating_point())
                found.append(float(first.detach().double().var(correction=0)))
                raise _MeasuredError

        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(torch.random.fork_rng())
            handle = self.modules[module].register_forward_hook(look)
            stack.callback(handle.remove)
            for one in self.model.modules():
                if isinstance(one, nn.modules.dropout._DropoutNd) and one.training:
                    one.training = False
                    stack.callback(setattr, one, "training", True)
            # Buffers change in a run, too: it gets copies of their copies.
            values = self.copies | {
                name: self.copies[name].clone() for name, _ in self.model.named_buffers()
            }
            with suppress(_MeasuredError):
                functional_call(self.model, values, self.args, self.kwargs)
        if not found:
            raise FaninError(f"{module} did not run on these inputs, so nothing was measured.")
        return found[0]


class _MeasuredError(Exception):
    """No error: it ends a run when what it was made for is known."""
