"""Measure: variances of module outputs on a batch, under weights that the model never gets."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.func import functional_call

from fanin.axes import Axes
from fanin.errors import FaninError, one_line
from fanin.frameworks.torch.runs._alone import run_alone
from fanin.frameworks.torch.runs._inputs import call_arguments
from fanin.frameworks.torch.runs._saved import Saved
from fanin.frameworks.torch.runs._tensors import tensors_in
from fanin.frameworks.torch.trace._failure import locate
from fanin.frameworks.torch.tree._names import (
    canonical_names,
    find_wrapped,
    module_paths,
    require_shape,
)
from fanin.frameworks.torch.tree._offloaded import refuse_offloaded
from fanin.frameworks.torch.write._slot import Slot
from fanin.frameworks.torch.write._slots import slots
from fanin.initializers import Initializer


class TorchProbe:
    """Copies of a model's parameters and buffers, and a batch that it runs on with them.

    The model, what it holds, its running statistics and the random states of Python, NumPy and
    torch are as they were after every call, which runs from the same random states. Modules run
    in the mode that they are in, but that dropout modules are off. `inputs` are as for `trace`,
    with values that matter here. Raises FaninError where the model or the inputs have no memory,
    and for whatever the model itself raises.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        seed: int = 0,
        rename: Mapping[str, str] | None = None,
        prefix: str = "",
    ) -> None:
        while (attribute := find_wrapped(model)) is not None:
            model = model.get_submodule(attribute)
        self.model, self.seed = model, seed
        self.args, self.kwargs = call_arguments(inputs)
        self.paths = module_paths(model)
        self.modules = {path: module for module, path in self.paths.items()}
        tensors = canonical_names(model, rename)
        own = {id(tensor): name for name, tensor in model.named_parameters()}
        effect = "there are no values here to measure with"
        refuse_offloaded(model, tensors, effect, "Plan")
        _refuse_empty(tensors, list(tensors_in((self.args, self.kwargs))))
        held = [*model.named_parameters(), *model.named_buffers()]
        self.copies = {name: tensor.detach().clone() for name, tensor in held}
        self.slots = {
            slot.param.name: Slot(
                slot.param,
                self.copies[own[id(tensors[slot.param.name])]],
                slot.padding_row,
                prefix=slot.prefix,
            )
            for slot in slots(model, rename=rename, prefix=prefix)
        }

    def write(self, name: str, initializer: Initializer, axes: Axes | None) -> None:
        """Give a parameter's copy the values that a plan gives it."""
        self.slots[name].write(initializer, self.seed, axes)

    def variance(self, module: str) -> float:
        """The variance of the first tensor that a module returns, when it first runs."""
        found: list[float] = []

        def look(_: nn.Module, args: Any, output: Any) -> None:
            if not found:
                real = [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]
                found.extend(
                    float(tensor.detach().double().var(correction=0)) for tensor in real[:1]
                )
                raise _MeasuredError

        devices = {copy.device for copy in self.copies.values() if copy.is_cuda}
        with ExitStack() as stack:
            stack.enter_context(run_alone(seeded=True, devices=list(devices)))
            stack.enter_context(torch.no_grad())
            stack.callback(Saved(self.model.modules(), tensors=True).restore)
            self.modules[module].register_forward_hook(look)
            for item in self.model.modules():
                if isinstance(item, nn.modules.dropout._DropoutNd):
                    item.training = False
            self._run()
        if not found:
            raise FaninError(
                f"{module or 'the model'} did not run on these inputs, or returned no tensor of "
                "real numbers, so nothing was measured."
            )
        return found[0]

    def _run(self) -> None:
        # Buffers change in a run, too: it gets copies of their copies.
        values = self.copies | {
            name: self.copies[name].clone() for name, _ in self.model.named_buffers()
        }
        try:
            functional_call(self.model, values, self.args, self.kwargs)
        except _MeasuredError:
            pass
        except Exception as error:
            raise FaninError(
                f"{locate(self.model, error)} does not run on these inputs: "
                f"{one_line(error, named=True)}. Check that model(inputs) runs, in the mode that "
                "the model is in."
            ) from error


def _refuse_empty(tensors: Mapping[str, Tensor], inputs: list[Tensor]) -> None:
    for name, tensor in tensors.items():
        require_shape(name, tensor)
        if tensor.is_meta or isinstance(tensor, FakeTensor):
            raise FaninError(
                f"{name} of shape {tuple(tensor.shape)} has no memory, and "
                "measuring runs the model. Call model.to_empty(device='cpu') first."
            )
    for tensor in inputs:
        if tensor.is_meta or isinstance(tensor, FakeTensor):
            raise FaninError(
                f"inputs hold a tensor of shape {tuple(tensor.shape)} without memory, and "
                "measuring runs the model. Pass a batch of real data."
            )


class _MeasuredError(Exception):
    """No error: it ends a run when what it was made for is known."""
