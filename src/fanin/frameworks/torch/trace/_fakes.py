"""Fakes: a model whose tensors are replaced by fake ones for a while, and put back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from fanin.frameworks.torch.record._record import Recorder
from fanin.frameworks.torch.runs._caches import Caches
from fanin.frameworks.torch.runs._saved import Saved
from fanin.frameworks.torch.trace._shapes import new_fake
from fanin.frameworks.torch.tree._names import require_shape


def fake_like(mode: FakeTensorMode, tensor: Tensor) -> Tensor:
    """A fake tensor of the same shape, strides and type, on the CPU whatever the device."""
    shape = tuple(tensor.shape)
    if tensor.layout is torch.strided:
        return new_fake(mode, shape, tensor.stride(), tensor.dtype)
    with mode, torch.no_grad():
        return torch.empty(shape, dtype=tensor.dtype, device="cpu")


@contextmanager
def fake_model(
    model: nn.Module, mode: FakeTensorMode, *, train: bool, trainable: bool
) -> Iterator[tuple[dict[int, Tensor], dict[int, Tensor]]]:
    """The model with fake parameters and buffers, in train or eval mode; restored in the end.

    `trainable` makes all parameters require gradients; else they do as the real ones.

    Gives the fake parameters and the fake buffers by the identity of the real ones. What the
    run stores in the modules, in what they hold, and in caches of functions is taken back.
    """
    modules = list(model.modules())
    saved, caches = Saved(modules), Caches(modules)
    parameters: dict[int, Tensor] = {}
    buffers: dict[int, Tensor] = {}
    try:
        for module in modules:
            _replace(module._parameters, parameters, mode, trainable=trainable)
            _replace(module._buffers, buffers, mode)
            if isinstance(module, nn.RNNBase):  # it holds its weights a second time
                fakes = [parameters.get(id(weight), weight) for weight in module._flat_weights]
                module.__dict__["_flat_weights"] = fakes
        with suppress(NotImplementedError):  # torch.export's modules have one mode alone
            model.train(train)
        yield parameters, buffers
    finally:
        saved.restore()
        caches.restore()


def _replace(
    held: dict[str, Any], fakes: dict[int, Tensor], mode: FakeTensorMode, trainable: bool = False
) -> None:
    for name, tensor in held.items():
        if tensor is None:
            continue
        require_shape(name, tensor)
        if id(tensor) not in fakes:
            fake = fake_like(mode, tensor)
            if isinstance(tensor, nn.Parameter):
                real = tensor.is_floating_point() or tensor.is_complex()
                fake.requires_grad_(tensor.requires_grad or (trainable and real))
                fake._is_param = True  # as nn.Parameter says it
            fakes[id(tensor)] = fake
        held[name] = fakes[id(tensor)]


@contextmanager
def conversions(recorder: Recorder) -> Iterator[None]:
    """Modules that are moved or converted in forward: torch's own way refuses fake parameters."""
    original = nn.Module._apply
    thread = threading.get_ident()

    def apply(self: nn.Module, fn: Any, recurse: bool = True) -> nn.Module:
        held = [parameter for parameter in self._parameters.values() if parameter is not None]
        if threading.get_ident() != thread or not any(
            isinstance(item, FakeTensor) for item in held
        ):
            return original(self, fn, recurse)  # type: ignore[no-any-return, no-untyped-call]
        for child in self.children() if recurse else ():
            child._apply(fn)  # type: ignore[no-untyped-call]
        for name, tensor in self._parameters.items():
            if tensor is not None:
                self._parameters[name] = _convert(recorder, tensor, fn)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    nn.Module._apply = apply  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module._apply = original  # type: ignore[method-assign]


def _convert(recorder: Recorder, parameter: nn.Parameter, fn: Any) -> nn.Parameter:
    """A parameter after a function that moves it, which changes nothing here, or its type."""
    with torch.no_grad():
        made = fn(parameter)
    if made.dtype == parameter.dtype:
        return parameter
    twin = nn.Parameter(made, requires_grad=parameter.requires_grad)
    recorder.set(twin, recorder.entry(parameter))
    return twin
