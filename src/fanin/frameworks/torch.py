"""PyTorch: modules as Params, and values written into their parameters."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from fanin.axes import Axes, parse_axes
from fanin.errors import FaninError
from fanin.initializers import Initializer
from fanin.param import Kind, Param
from fanin.streams import Array, check_out

_NORMALIZATIONS = (
    nn.modules.batchnorm._NormBase,  # batch and instance normalizations
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TABLES = (nn.Embedding, nn.EmbeddingBag)


@dataclass(frozen=True, slots=True)
class Slot:
    """A Param and the tensor that holds it."""

    param: Param
    tensor: torch.Tensor
    padding_row: int | None = None  # of a table: stays zero, as torch keeps it

    def rehearse(self, initializer: Initializer, seed: int) -> None:
        """Raise whatever `write` would raise, without drawing."""
        param = self.param
        nothing = (slice(0, 0),) * len(param.shape)
        self._draw(initializer, seed, index=nothing)
        if self.tensor.layout is not torch.strided:
            raise FaninError(f"{param.name} has layout {self.tensor.layout}; make it dense first.")
        if self.tensor.device.type == "cpu":
            try:
                check_out(_as_numpy(self.tensor), param.shape, param.dtype)
            except (FaninError, RuntimeError) as error:
                raise FaninError(f"{param.name} cannot be written: {error}") from None

    def write(self, initializer: Initializer, seed: int) -> None:
        """Draw the values into the tensor."""
        with torch.no_grad():
            if self.tensor.device.type == "cpu":
                self._draw(initializer, seed, out=_as_numpy(self.tensor))
                torch.autograd.graph.increment_version(self.tensor)  # NumPy wrote behind its back
            else:
                values = torch.empty(self.tensor.shape, dtype=self.tensor.dtype)
                self._draw(initializer, seed, out=_as_numpy(values))
                self.tensor.copy_(values)
            if self.padding_row is not None:
                self.tensor[self.padding_row] = 0

    def _draw(self, initializer: Initializer, seed: int, **where: object) -> None:
        param = self.param
        try:
            initializer(
                param.shape,
                seed=seed,
                name=param.name,
                dtype=param.dtype,
                axes=param.axes,
                groups=param.groups,
                **where,  # type: ignore[arg-type]
            )
        except FaninError as error:
            raise FaninError(f"{param.name} ({initializer}): {error}") from None


def _as_numpy(tensor: torch.Tensor) -> Array:
    """The memory of a CPU tensor; bfloat16, which NumPy lacks, as uint16 bits."""
    plain = tensor.detach()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(np.uint16)
    array: Array = plain.numpy()
    return array


def slots(model: nn.Module) -> list[Slot]:
    """Every parameter of the model, once, in the model's order.

    A tied parameter goes under its embedding's name, else under the first registered.
    """
    owners: dict[int, list[tuple[str, str, nn.Module]]] = {}
    tensors: dict[int, nn.Parameter] = {}
    for prefix, module in model.named_modules():
        for attribute, tensor in module.named_parameters(recurse=False):
            place = (f"{prefix}.{attribute}" if prefix else attribute, attribute, module)
            owners.setdefault(id(tensor), []).append(place)
            tensors[id(tensor)] = tensor
    return [_slot(tensors[key], places) for key, places in owners.items()]


def _slot(tensor: nn.Parameter, places: list[tuple[str, str, nn.Module]]) -> Slot:
    tables = [place for place in places if isinstance(place[2], _TABLES)]
    name, attribute, module = (tables or places)[0]
    if isinstance(tensor, nn.parameter.UninitializedParameter):
        raise FaninError(f"{name} has no shape yet; run the model once on an example first.")
    shape = tuple(tensor.shape)
    if tensor.device.type == "meta":
        raise FaninError(
            f"{name} has shape {shape} on the meta device, where there is no memory to write. "
            "Call model.to_empty(device='cpu') first."
        )
    kind, axes = _role(attribute, module, shape)
    param = Param(
        name=name,
        shape=shape,
        dtype=str(tensor.dtype).removeprefix("torch."),
        kind=kind,
        owner=type(module).__name__,
        axes=axes,
        groups=module.groups if isinstance(module, _CONVOLUTIONS) else 1,
    )
    if isinstance(module, _TABLES) and attribute == "weight":
        return Slot(param, tensor, module.padding_idx)
    return Slot(param, tensor)


def _role(attribute: str, module: nn.Module, shape: tuple[int, ...]) -> tuple[Kind, Axes]:
    """What the parameter is; its axes are given where it is a weight, else none has a role."""
    no_roles = Axes(("stack",) * len(shape))
    if isinstance(module, _NORMALIZATIONS):
        kinds: dict[str, Kind] = {"weight": "scale", "bias": "shift"}
        return kinds.get(attribute, "other"), no_roles
    if isinstance(module, _TABLES) and attribute == "weight":
        return "weight", parse_axes("stack out", shape)
    if isinstance(module, (nn.Linear, *_CONVOLUTIONS)):
        if attribute == "weight":
            return "weight", parse_axes(None, shape)
        if attribute == "bias":
            return "bias", no_roles
    return "other", no_roles
