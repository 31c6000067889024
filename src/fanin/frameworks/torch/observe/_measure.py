"""Measure: variances of module outputs on a batch, under weights that the model never gets."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.func import functional_call

from fanin.axes import Axes
from fanin.errors import FaninError, one_line
from fanin.frameworks.observing._own_loss import takes_labels
from fanin.frameworks.torch.observe._objective import Objective
from fanin.frameworks.torch.observe._quantized import refuse_quantized
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
from fanin.initializers._computed import Computed
from fanin.streams import Array


class TorchProbe:
    """Copies of a model's parameters and buffers, and a batch that it runs on with them.

    The model, what it holds, its running statistics and the random states of Python, NumPy and
    torch are as they were after every call, which runs from the same random states. Modules run
    in the mode that they are in, but that dropout modules are off. `inputs` are as for `trace`,
    with values that matter here. Raises FaninError where the model or the inputs have no memory,
    and for whatever the model itself raises.
    """

    sees_weights = False

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
                homes=slot.homes,
                prefix=slot.prefix,
            )
            for slot in slots(model, rename=rename, prefix=prefix)
        }

    def write(self, name: str, initializer: Initializer, axes: Axes | None) -> None:
        """Give a parameter's copy the values that a plan gives it."""
        self.slots[name].write(initializer, self.seed, axes)

    def variance(self, place: str) -> float:
        """The variance of the first tensor that a module returns, when it first runs."""
        found: list[float] = []

        def look(_: nn.Module, args: Any, output: Any) -> None:
            if not found:
                real = [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]
                found.extend(
                    float(tensor.detach().double().var(correction=0)) for tensor in real[:1]
                )
                raise _MeasuredError

        with self._running(torch.no_grad()):
            self.modules[place].register_forward_hook(look)
            self._run()
        if not found:
            raise FaninError(
                f"{place or 'the model'} did not run on these inputs, or returned no tensor of "
                "real numbers, so nothing was measured."
            )
        return found[0]

    def read(self, name: str) -> Array:
        """The values of a parameter's copy, in float64."""
        weight = self.slots[name].tensor
        refuse_quantized(name, weight, "the start of its adapter is made of it")
        return _as_array(weight)

    def store(self, name: str, values: Array) -> Computed:
        """Put values into a parameter's copy."""
        slot = self.slots[name]
        refuse_quantized(name, slot.tensor, "the start of its adapter would change it")
        before = slot.digest(held=True)
        slot.tensor.copy_(torch.from_numpy(values))
        wide = torch.promote_types(slot.tensor.dtype, torch.float32)
        return Computed(slot.digest(held=True), slot.tensor.to("cpu", wide).numpy(), before)

    def measure_inputs(self, names: Collection[str]) -> dict[str, tuple[Array, Array]]:
        """E[x] and E[x x^T] of what the modules that hold these weights are called with."""
        sums: dict[str, list[Any]] = {name: [0, 0.0, 0.0] for name in names}

        def look(name: str, args: Any) -> None:
            rows = _as_array(args[0]).reshape(-1, args[0].shape[-1])
            for at, value in enumerate((len(rows), rows.sum(0), rows.T @ rows)):
                sums[name][at] += value

        with self._running(torch.no_grad()):
            for name in names:
                module = self._find_linear(name)
                module.register_forward_pre_hook(lambda _, args, name=name: look(name, args))
            self._run()
        for name, (count, *_) in sums.items():
            if not count:
                raise FaninError(f"{name} was not used on these inputs, so nothing was measured.")
        return {
            name: (mean / count, second / count) for name, (count, mean, second) in sums.items()
        }

    def _find_linear(self, name: str) -> nn.Module:
        """The module that holds a weight, which is called with what the weight multiplies."""
        for module, attribute in self.slots[name].homes:
            linear = isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
            if attribute == "weight" and linear:
                return module
        raise FaninError(
            f"{name} of shape {self.slots[name].param.shape} is the weight of no linear layer, so "
            "that its inputs are not seen. Choose a start that reads the weight alone, such as "
            "'pissa'."
        )

    def differentiate(
        self, names: Collection[str], loss: Callable[[Any], Any] | None
    ) -> dict[str, Array]:
        """The gradient of the loss by each of these weights."""
        objective = Objective(
            loss=loss, labelled=takes_labels(self.model.forward, self.args, self.kwargs)
        )
        weights = {name: self.slots[name].tensor for name in names}
        for name, weight in weights.items():
            refuse_quantized(name, weight, "has no gradient")
        with self._running(torch.enable_grad()), _requiring_grad(weights.values()):
            value = objective(self._run())
            if loss is None and not objective.own:
                raise FaninError(
                    "recipe lora_ga needs a loss, and the model returns none on these inputs. Pass "
                    "labels among them, where the model takes any, or recipe="
                    "fanin.recipes.lora('lora_ga', loss=...), a function of the model's output."
                )
            found = torch.autograd.grad(
                value, [*weights.values()], allow_unused=True, materialize_grads=True
            )
        return {name: _as_array(slope) for name, slope in zip(weights, found, strict=True)}

    @contextmanager
    def _running(self, mode: AbstractContextManager[Any]) -> Iterator[None]:
        """Hooks may be added, and dropout is off; the model is afterwards as it was."""
        devices = {copy.device for copy in self.copies.values() if copy.is_cuda}
        with ExitStack() as stack:
            stack.enter_context(run_alone(seeded=True, devices=list(devices)))
            stack.enter_context(mode)
            stack.callback(Saved(self.model.modules(), tensors=True).restore)
            for item in self.model.modules():
                if isinstance(item, nn.modules.dropout._DropoutNd):
                    item.training = False
            yield

    def _run(self) -> Any:
        # Buffers change in a run, too: it gets copies of their copies.
        values = self.copies | {
            name: self.copies[name].clone() for name, _ in self.model.named_buffers()
        }
        try:
            return functional_call(self.model, values, self.args, self.kwargs)
        except _MeasuredError:
            return None
        except Exception as error:
            raise FaninError(
                f"{locate(self.model, error)} does not run on these inputs: "
                f"{one_line(error, named=True)}. Check that model(inputs) runs, in the mode that "
                "the model is in."
            ) from error


def _as_array(tensor: Tensor) -> Array:
    """Values in float64, on the host."""
    array: Array = tensor.detach().to("cpu", torch.float64).numpy()
    return array


@contextmanager
def _requiring_grad(tensors: Iterable[Tensor]) -> Iterator[None]:
    """A gradient by these tensors can be asked for."""
    held = [*tensors]
    try:
        for tensor in held:
            tensor.requires_grad_()
        yield
    finally:
        for tensor in held:
            tensor.requires_grad_(False)


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
