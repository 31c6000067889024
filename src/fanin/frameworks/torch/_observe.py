"""Observe: a real run of a model, with the size of every activation and of its gradient."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes

from fanin.frameworks.torch._aten import is_known
from fanin.frameworks.torch._call import flat_tensors
from fanin.frameworks.torch._mode import RecordingMode, decomposed, known_value
from fanin.frameworks.torch._names import buffer_names, canonical_names, module_paths
from fanin.frameworks.torch._record import Activation, Constant, Recorder
from fanin.frameworks.torch._trace import eager, running_paths
from fanin.frameworks.torch._weights import whole
from fanin.recipes import Node


@dataclass(frozen=True, slots=True)
class Observation:
    """The operations of one real run, in order.

    `rms` is the root mean square of each node's output, `gradients` the norm of the loss's
    gradient with respect to it; None where the output is no real tensor, or has no gradient.
    """

    nodes: tuple[Node, ...]
    rms: tuple[float | None, ...]
    gradients: tuple[float | None, ...]
    output: Any


def observe(
    model: nn.Module,
    inputs: Any,
    loss: Callable[[Any], Tensor] | None = None,
    rename: Mapping[str, str] | None = None,
) -> Observation:
    """Run the model as it is, forward and, where `loss` of its output is given, backward."""
    recorder = Recorder()
    mode = _ObservingMode(recorder)
    for name, parameter in canonical_names(model, rename).items():
        recorder.set(parameter, whole(name, parameter.shape))
        recorder.shapes[name] = tuple(parameter.shape)
    for name, buffer in buffer_names(model).items():
        recorder.set(buffer, Constant(known_value(buffer), name=name))
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    args = args if isinstance(args, tuple) else (args,)
    for tensor in flat_tensors([args, kwargs]):
        made = recorder.emit("input", (), tensor.shape)
        recorder.set(tensor, made)
    gradients: dict[int, float] = {}
    with ExitStack() as stack:
        stack.enter_context(eager())
        stack.enter_context(running_paths(module_paths(model), mode))
        stack.enter_context(mode)
        output = model(*args, **kwargs)
    if loss is not None:
        for node, tensor in mode.seen.items():
            if tensor.requires_grad:
                tensor.register_hook(_keep(gradients, node))  # type: ignore[no-untyped-call]
        loss(output).backward()  # type: ignore[no-untyped-call]
    count = len(recorder.nodes)
    return Observation(
        tuple(recorder.nodes),
        tuple(mode.rms.get(node) for node in range(count)),
        tuple(gradients.get(node) for node in range(count)),
        output,
    )


def _keep(gradients: dict[int, float], node: int) -> Callable[[Tensor], None]:
    def keep(gradient: Tensor) -> None:
        gradients[node] = float(gradient.detach().double().norm())

    return keep


class _ObservingMode(RecordingMode):  # type: ignore[no-untyped-call]
    """Records operations on real tensors, and looks at what they make."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder, FakeTensorMode())  # never entered
        self.seen: dict[int, Tensor] = {}
        self.rms: dict[int, float] = {}

    def adopt(self, tensor: Tensor, entry: Any = None) -> Tensor:
        if not self.recorder.knows(tensor):
            self.recorder.set(tensor, Constant(known_value(tensor)))
        return tensor

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace in ("prim", "prims") or self.paused:
            return func(*args, **kwargs)
        self.last = str(func)
        for tensor in flat_tensors([args, kwargs]):
            self.adopt(tensor)
        follows = self._follows(args, kwargs)
        if follows and not is_known(func):
            with self:
                out = decomposed(func, args, kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        with _disable_current_modes(), torch.no_grad():
            self._record(func, args, kwargs, out, None if follows else out)
            for tensor in flat_tensors(out):
                self._look(tensor)
        return out

    def _look(self, tensor: Tensor) -> None:
        entry = self.recorder.entry(tensor)
        if isinstance(entry, Activation) and tensor.is_floating_point():
            self.seen[entry.node] = tensor
            if tensor.numel():
                square = tensor.detach().to(torch.float64).square().mean()
                self.rms[entry.node] = float(square) ** 0.5
