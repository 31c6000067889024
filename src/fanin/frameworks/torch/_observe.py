"""Observe: a real run of a model, with the size of every activation and of its gradient."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes

from fanin.frameworks.torch._alone import alone
from fanin.frameworks.torch._aten import is_known
from fanin.frameworks.torch._call import flat_tensors
from fanin.frameworks.torch._inputs import call_arguments, tensors_in
from fanin.frameworks.torch._mode import RecordingMode, decomposed, known_value
from fanin.frameworks.torch._names import buffer_names, canonical_names, module_paths
from fanin.frameworks.torch._record import Activation, Constant, Recorder
from fanin.frameworks.torch._saved import Saved
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
    """Run the model as it is, forward and, where `loss` of its output is given, backward.

    It runs in its own mode, from the random states of the caller. Afterwards those, its
    buffers, what its modules hold and all `.grad` of its parameters and inputs are as they
    were. `inputs` are as for `trace`. What the model raises is passed on.
    """
    args, kwargs = call_arguments(inputs)
    recorder = Recorder()
    mode = _ObservingMode(recorder)
    for name, parameter in canonical_names(model, rename).items():
        recorder.set(parameter, whole(name, parameter.shape))
        recorder.shapes[name] = tuple(parameter.shape)
    for name, buffer in buffer_names(model).items():
        recorder.set(buffer, Constant(known_value(buffer), name=name))
    for tensor in tensors_in((args, kwargs)):
        if not recorder.knows(tensor):
            recorder.set(tensor, recorder.emit("input", (), tensor.shape))
    leaves = [*model.parameters(), *tensors_in((args, kwargs))]
    devices = {one.device for one in leaves if one.is_cuda}
    with ExitStack() as stack:
        stack.enter_context(alone(seeded=False, devices=list(devices)))
        stack.callback(Saved(model.modules(), tensors=True).restore)
        stack.enter_context(eager())
        with running_paths(module_paths(model), mode), mode:
            output = model(*args, **kwargs)
        gradients = (
            {} if loss is None else _gradients(mode.seen, mode.versions, loss(output), leaves)
        )
    count = len(recorder.nodes)
    return Observation(
        tuple(recorder.nodes),
        tuple(mode.rms.get(node) for node in range(count)),
        tuple(gradients.get(node) for node in range(count)),
        output,
    )


def _gradients(
    seen: dict[int, Tensor], versions: dict[int, int], loss: Tensor, leaves: list[Tensor]
) -> dict[int, float]:
    """Norms by node; the leaves keep the gradients that they had."""
    found: dict[int, float] = {}
    with ExitStack() as stack:
        for leaf in leaves:
            if leaf.is_leaf:
                stack.callback(setattr, leaf, "grad", leaf.grad)
                leaf.grad = None
        for node, tensor in seen.items():
            # torch crashes at a hook on a view whose base was written since.
            stale = tensor._is_view() and tensor._version != versions[node]
            if tensor.requires_grad and not stale:
                handle = tensor.register_hook(_keep(found, node))  # type: ignore[no-untyped-call]
                stack.callback(handle.remove)
        loss.backward()  # type: ignore[no-untyped-call]
    return found


def _keep(gradients: dict[int, float], node: int) -> Callable[[Tensor], None]:
    def keep(gradient: Tensor) -> None:
        gradients[node] = float(gradient.detach().double().norm())

    return keep


class _ObservingMode(RecordingMode):  # type: ignore[no-untyped-call]
    """Records operations on real tensors, and looks at what they make."""

    unpacks = False

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder, FakeTensorMode())  # never entered
        self.seen: dict[int, Tensor] = {}
        self.versions: dict[int, int] = {}  # of those tensors, when they were seen
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
            self.seen.setdefault(entry.node, tensor)  # autograd keeps detached twins of it
            self.versions.setdefault(entry.node, tensor._version)
            if tensor.numel():
                square = tensor.detach().to(torch.float64).square().mean()
                self.rms[entry.node] = float(square) ** 0.5
