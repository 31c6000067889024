"""Fakes: a model whose tensors are replaced by fake ones for a while, and put back."""

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from fanin.errors import FaninError

_CONTAINERS = (list, dict, set)
_UNINITIALIZED = (nn.parameter.UninitializedParameter, nn.parameter.UninitializedBuffer)


def fake_like(mode: FakeTensorMode, tensor: Tensor) -> Tensor:
    """A fake tensor of the same shape, strides and type, on the CPU whatever the device."""
    shape = tuple(tensor.shape)
    with mode, torch.no_grad():
        if tensor.layout is not torch.strided:
            return torch.empty(shape, dtype=tensor.dtype)
        return torch.empty_strided(shape, tensor.stride(), dtype=tensor.dtype)


@contextmanager
def fake_model(
    model: nn.Module, mode: FakeTensorMode, *, train: bool, trainable: bool
) -> Iterator[tuple[dict[int, Tensor], dict[int, Tensor]]]:
    """The model with fake parameters and buffers, in train or eval mode; restored in the end.

    `trainable` makes all parameters require gradients; else they do as the real ones.

    Gives the fake parameters and the fake buffers by the identity of the real ones. What the
    run stores in the modules is taken back: attributes, and the contents of their lists,
    dicts and sets.
    """
    modules = list(model.modules())
    saved = [_Saved(module) for module in modules]
    parameters: dict[int, Tensor] = {}
    buffers: dict[int, Tensor] = {}
    try:
        for module in modules:
            _replace(module._parameters, parameters, mode, trainable=trainable)
            _replace(module._buffers, buffers, mode)
            if isinstance(module, nn.RNNBase):  # it holds its weights a second time
                fakes = [parameters.get(id(one), one) for one in module._flat_weights]
                module.__dict__["_flat_weights"] = fakes
        model.train(train)
        yield parameters, buffers
    finally:
        for one in saved:
            one.restore()


def _replace(
    held: dict[str, Any], fakes: dict[int, Tensor], mode: FakeTensorMode, trainable: bool = False
) -> None:
    for name, tensor in held.items():
        if tensor is None:
            continue
        if isinstance(
            tensor, nn.parameter.UninitializedParameter | nn.parameter.UninitializedBuffer
        ):
            raise FaninError(f"{name} has no shape yet; run the model once on an example first.")
        if id(tensor) not in fakes:
            fake = fake_like(mode, tensor)
            if isinstance(tensor, nn.Parameter):
                real = tensor.is_floating_point() or tensor.is_complex()
                grad = tensor.requires_grad or (trainable and real)
                fake = nn.Parameter(fake, requires_grad=grad)
            fakes[id(tensor)] = fake
        held[name] = fakes[id(tensor)]


class _Saved:
    """The attributes of a module as they were."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._attributes = dict(module.__dict__)
        self._contents = [
            (value, value.copy())
            for value in self._attributes.values()
            if isinstance(value, _CONTAINERS)
        ]

    def restore(self) -> None:
        self._module.__dict__.clear()
        self._module.__dict__.update(self._attributes)
        for value, before in self._contents:
            value.clear()
            value.extend(before) if isinstance(value, list) else value.update(before)


@contextmanager
def quiet_randomness() -> Iterator[None]:
    """Fixed random states for a while; the caller's are put back."""
    with ExitStack() as stack:
        state = torch.random.get_rng_state()
        stack.callback(torch.random.set_rng_state, state)
        stack.callback(random.setstate, random.getstate())
        numpy = sys.modules["numpy"]
        stack.callback(numpy.random.set_state, numpy.random.get_state())
        random.seed(0)
        numpy.random.seed(0)
        yield
