"""New buffers: memory and values for buffers that have none, made before anything is changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm

from fanin.errors import FaninError, quote, suggestion
from fanin.frameworks.torch.write._vacancy import device_of, room_for


@dataclass(frozen=True, slots=True)
class NewBuffers:
    """Buffers with memory, by the module and the attribute where they belong.

    The statistics of `norms` among them have no values yet.
    """

    found: tuple[tuple[nn.Module, str, Tensor], ...]
    norms: tuple[nn.Module, ...]

    def put(self) -> None:
        """Put them into the model; batch statistics start anew."""
        for module, attribute, buffer in self.found:
            module._buffers[attribute] = buffer
        for module in self.norms:
            module.reset_running_stats()  # type: ignore[operator]


def new_buffers(
    model: nn.Module,
    device: str | torch.device | None = None,
    given: Mapping[str, Tensor] | None = None,
) -> NewBuffers:
    """Memory for the buffers on the meta device, and what is given; the model is left as it is.

    Batch statistics start anew, the vectors of a spectral norm follow when its weight is drawn,
    others are `given`. Raises FaninError that lists the buffers which nobody knows, for a name in
    `given` that no buffer has, and where the device has no room.
    """
    where = device_of("cpu" if device is None else device)
    if given is not None:
        _refuse_unknown(model, given)
    values = given or {}
    found: list[tuple[nn.Module, str, Tensor]] = []
    norms: list[nn.Module] = []
    unknown: list[str] = []
    for path, module in model.named_modules():
        for attribute, buffer in module._buffers.items():
            name = f"{path}.{attribute}" if path else attribute
            if buffer is None or not (buffer.is_meta or name in values):
                continue
            place = where if buffer.is_meta else buffer.device
            is_norm = isinstance(module, nn.modules.batchnorm._NormBase)
            if name in values:
                value = _fitting(name, values[name], buffer)
                with room_for(name, buffer, place):
                    found.append((module, attribute, value.to(place)))
            elif is_norm or attribute in spectral_buffers(module):
                with room_for(name, buffer, where):
                    found.append((module, attribute, torch.empty_like(buffer, device=where)))
                norms += [module] if is_norm else []
            else:
                unknown.append(f"{name} {tuple(buffer.shape)}")
    if unknown:
        raise FaninError(
            f"on the meta device are the buffers {', '.join(unknown)}, whose values are lost. "
            "Build the model under fanin.empty_weights(), where buffers are real unless they are "
            "computed from weights, or pass buffers={name: tensor}."
        )
    return NewBuffers(tuple(found), tuple(dict.fromkeys(norms)))


def spectral_buffers(module: nn.Module) -> Iterator[str]:
    """The names of the buffers of a module that hold singular vectors of its weight."""
    if isinstance(module, _SpectralNorm):
        yield from ("_u", "_v")
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, SpectralNorm):
            yield from (f"{hook.name}_u", f"{hook.name}_v")


def _refuse_unknown(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    if not isinstance(values, Mapping):
        raise FaninError(f"buffers is {quote(values)}; it maps names of buffers to tensors.")
    known = [name for name, _ in model.named_buffers(remove_duplicate=False)]
    for name in values:
        if name not in known:
            said = suggestion(str(name), known) if known else "; the model has no buffers."
            raise FaninError(f"buffers has {name!r}{said}")


def _fitting(name: str, value: Tensor, buffer: Tensor) -> Tensor:
    if not isinstance(value, Tensor) or value.shape != buffer.shape:
        got = tuple(value.shape) if isinstance(value, Tensor) else repr(value)
        raise FaninError(
            f"buffers[{name!r}] is {got}; {name} is a tensor of shape {tuple(buffer.shape)}."
        )
    return value
