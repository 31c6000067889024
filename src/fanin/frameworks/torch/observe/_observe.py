"""Observe: a real run of a model, with the size of every activation and of its gradient."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes

from fanin.errors import FaninError
from fanin.frameworks._observation import (
    Gates,
    GradientStats,
    Look,
    Observation,
    ParameterStats,
    TargetsMet,
)
from fanin.frameworks.observing._nodes import (
    axis_of_units,
    flat_beyond,
    is_function,
    is_looked_at,
    is_rectifier,
    is_watched,
    shows_others,
)
from fanin.frameworks.recording._finish import note_packed
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor
from fanin.frameworks.recording._weights import whole
from fanin.frameworks.torch.observe._asked import asking
from fanin.frameworks.torch.observe._gates import gates
from fanin.frameworks.torch.observe._look import (
    is_constant,
    look,
    norm,
    rms,
    share_outside,
    silent,
    spread_before,
    spread_of_products,
)
from fanin.frameworks.torch.observe._objective import NO_GRADIENT
from fanin.frameworks.torch.observe._outside import outsiders
from fanin.frameworks.torch.observe._passing import PassingTensors
from fanin.frameworks.torch.observe._values import watch
from fanin.frameworks.torch.operations._aten import is_known
from fanin.frameworks.torch.record._formula import ParameterFormula
from fanin.frameworks.torch.record._record import Recorder
from fanin.frameworks.torch.runs._alone import run_alone
from fanin.frameworks.torch.runs._inputs import call_arguments
from fanin.frameworks.torch.runs._saved import Saved, write_back
from fanin.frameworks.torch.runs._tensors import arguments_in, is_number, tensors_in
from fanin.frameworks.torch.trace._mode import RecordingMode, decompose, read_value
from fanin.frameworks.torch.trace._running import running_paths
from fanin.frameworks.torch.trace._trace import eager
from fanin.frameworks.torch.tree._names import buffer_names, canonical_names, module_paths
from fanin.graph import Node


@dataclass(frozen=True, slots=True)
class Detail:
    """What a closer look calls flat (a share of the largest slope) and the same (relative)."""

    flat: float
    same: float


def observe(
    model: nn.Module,
    inputs: Any,
    loss: Callable[[Any], Tensor] | None = None,
    rename: Mapping[str, str] | None = None,
    detail: Detail | None = None,
) -> Observation:
    """Run the model as it is, forward and, where `loss` of its output is given, backward.

    It runs in its own mode, from the random states of the caller. Afterwards those, its
    buffers, what its modules hold and all `.grad` of its parameters and inputs are as they
    were. `inputs` are as for `trace`. What the model raises is passed on. With `detail`, frozen
    parameters take part as trainable ones. Of activations no more stays in memory than the run
    itself keeps, and of the parameters' gradients one at a time.
    """
    args, kwargs = call_arguments(inputs)
    recorder = Recorder(PassingTensors())
    mode = _ObservingMode(recorder, detail, backward=loss is not None)
    parameters = canonical_names(model, rename)
    for name, parameter in parameters.items():
        recorder.set(parameter, whole(name, parameter.shape, ParameterFormula))
        recorder.shapes[name] = tuple(parameter.shape)
    for name, buffer in buffer_names(model).items():
        recorder.set(buffer, ConstantTensor(read_value(buffer), name=name))
    frozen = frozenset(name for name, item in parameters.items() if not item.requires_grad)
    given = list(tensors_in((args, kwargs)))
    with ExitStack() as stack:
        leaves = [*model.parameters(), *given]
        devices = {leaf.device for leaf in leaves if leaf.is_cuda}
        stack.enter_context(run_alone(seeded=False, devices=list(devices)))
        stack.callback(Saved(model.modules(), tensors=True).restore)
        stack.enter_context(write_back(parameters.values()))
        stack.enter_context(eager())
        if detail is not None:
            stack.enter_context(_all_trainable(parameters.values()))
        stack.callback(mode.unhook)
        mode.take(given)
        with running_paths(module_paths(model), mode), mode:
            output = model(*args, **kwargs)
        mode.watch_outputs(output)
        values: dict[str, ParameterStats] = {}
        found: dict[str, GradientStats] = {}
        value: float | None = None
        if detail is not None:
            values, found = stack.enter_context(
                watch(parameters, recorder.nodes, detail.same, backward=loss is not None)
            )
        asked: dict[str, int] = {}
        compared: TargetsMet | None = None
        outside = [tensor for _, tensor in mode.outside]
        if loss is not None and not (detail and (parameters or outside) and _is_cut(output)):
            made, asked, compared = asking(loss, output, recorder)
            value = _backward(made, [*leaves, *outside])
    count = len(recorder.nodes)
    return Observation(
        tuple(recorder.nodes),
        tuple(mode.rms.get(node) for node in range(count)),
        tuple(mode.gradients.get(node) for node in range(count)),
        output,
        value,
        mode.looks,
        mode.silent,
        mode.flat,
        values,
        found,
        mode.returned,
        frozenset(mode.derived),
        frozen,
        outsiders(model, mode.outside),
        mode.spreads,
        asked,
        compared,
        mode.gates,
        frozenset(mode.constant),
    )


def _is_cut(output: Any) -> bool:
    """Whether an output has tensors, and none leads back to what requires gradients."""
    found = list(tensors_in(output))
    return bool(found) and not any(tensor.requires_grad for tensor in found)


def _backward(loss: Tensor, leaves: list[Tensor]) -> float:
    """The loss; its leaves keep the gradients that they had."""
    if not loss.requires_grad:
        raise FaninError(NO_GRADIENT)
    with ExitStack() as stack:
        for leaf in leaves:
            if leaf.is_leaf:
                stack.callback(setattr, leaf, "grad", leaf.grad)
                leaf.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


@contextmanager
def _all_trainable(parameters: Any) -> Iterator[None]:
    """Frozen parameters take part in the backward run."""
    frozen = [
        parameter
        for parameter in parameters
        if not parameter.requires_grad and is_number(parameter)
    ]
    for tensor in frozen:
        tensor.requires_grad_(True)
    try:
        yield
    finally:
        for tensor in frozen:
            tensor.requires_grad_(False)


class _ObservingMode(RecordingMode):  # type: ignore[no-untyped-call]
    """Records operations on real tensors, and looks at what they make."""

    unpacks = False

    def __init__(self, recorder: Recorder, detail: Detail | None, backward: bool) -> None:
        super().__init__(recorder, FakeTensorMode())  # never entered
        self.rms: dict[int, float] = {}
        self.constant: set[int] = set()
        self.gradients: dict[int, float] = {}
        self.looks: dict[int, Look] = {}
        self.silent: dict[int, float] = {}
        self.flat: dict[int, float] = {}
        self.spreads: dict[int, float] = {}
        self.gates: dict[int, tuple[Gates, ...]] = {}
        self._unknown: list[tuple[str, Tensor]] = []  # tensors that require gradients
        self.returned: tuple[int, ...] = ()
        self.derived: set[int] = set()
        self._detail = detail
        self._backward = backward
        self._hooked: set[int] = set()
        self._on_leaves: list[Any] = []
        self._versions: dict[int, int] = {}  # of the tensor of a node when it was made
        self._units: dict[int, int] = {}  # of a node: the axis of its layer's units

    def take(self, given: list[Tensor]) -> None:
        """The inputs of the run."""
        for tensor in given:
            if not self.recorder.knows(tensor):
                label = "" if is_number(tensor) else "integers"
                made = self.recorder.emit("input", (), tensor.shape, label=label)
                self.recorder.set(tensor, made)
                self._look(tensor)

    def watch_outputs(self, output: Any) -> None:
        """What the model returned, which it may not have used itself; then what is packed shows."""
        entries = [self.recorder.entry(tensor) for tensor in tensors_in(output)]
        self.returned = tuple(
            entry.node for entry in entries if isinstance(entry, ActivationTensor)
        )
        for tensor in tensors_in(output):
            self._watch(tensor)
        note_packed(self.recorder, self.returned)

    @property
    def outside(self) -> list[tuple[str, Tensor]]:
        """What was used and comes from outside of the run, with the modules' paths.

        What autograd makes of a derivative that the model itself takes does not.
        """
        return [(path, item) for path, item in self._unknown if item.is_leaf or not self.derived]

    def unhook(self) -> None:
        """Hooks on what came from outside of the run do not go with it."""
        for handle in self._on_leaves:
            handle.remove()

    def adopt(self, tensor: Tensor, entry: Any = None) -> Tensor:
        if not self.recorder.knows(tensor):
            self._notice([tensor])
            self.recorder.set(tensor, ConstantTensor(read_value(tensor)))
        return tensor

    def _notice(self, tensors: list[Tensor]) -> None:
        """Keeps what requires gradients and comes from outside of the run."""
        for tensor in tensors:
            if tensor.requires_grad and not self.recorder.knows(tensor):
                self._unknown.append((self.recorder.path[-1], tensor))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace in ("prim", "prims"):
            return func(*args, **kwargs)
        tensors = arguments_in(args, kwargs)
        for tensor in tensors:
            self._watch(tensor)
        if self.paused:
            self._notice([item for item in tensors if item.is_leaf])
            return func(*args, **kwargs)
        for tensor in tensors:
            self.adopt(tensor)
        follows = self._follows(tensors)
        if follows and not is_known(func):
            with self:
                out = decompose(func, args, kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        with _disable_current_modes(), torch.no_grad():
            self._record(func, args, kwargs, out, None if follows else out)
            for tensor in tensors_in(out):
                self._look(tensor)
            if self._detail is not None:
                self._look_at_logits(args, out)
        return out

    def _look_at_logits(self, args: tuple[Any, ...], out: Any) -> None:
        made = next(tensors_in(out), None)
        entry = None if made is None else self.recorder.entry(made)
        if made is None or not isinstance(entry, ActivationTensor) or entry.node in self.spreads:
            return
        node = self.recorder.nodes[entry.node]
        if node.op == "softmax" and "logarithm" not in node.flags and isinstance(args[1], int):
            self.spreads[entry.node] = spread_before(made, args[1])
        elif node.op == "attention":
            self.spreads[entry.node] = spread_of_products(args[0], args[1], node.factor)

    def look_inside(
        self, node: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        if self._detail is not None:
            with _disable_current_modes(), torch.no_grad():
                self.gates[node] = gates(module, args, kwargs, self._detail.flat)

    def _look(self, tensor: Tensor) -> None:
        entry = self.recorder.entry(tensor)
        if not isinstance(entry, ActivationTensor) or not is_number(tensor):
            return
        at = entry.node
        if at in self._versions:
            return  # another tensor of the same values, such as a detached twin
        self._versions[at] = tensor._version
        if torch._C._current_graph_task_id() >= 0:
            self.derived.add(at)
        node = self.recorder.nodes[at]
        axis = axis_of_units(node, self.recorder.layouts.get(at), self._units, self.recorder.nodes)
        if axis is not None:
            self._units[at] = axis
        if not tensor.numel() or shows_others(node):
            return
        self.rms[at] = rms(tensor)
        if tensor.layout is not torch.strided:
            return  # of a sparse one only the size is of interest
        if self._detail is None:
            if is_constant(tensor):
                self.constant.add(at)
            return
        if is_looked_at(node):
            self.looks[at] = look(tensor)
        elif is_function(node) and tensor.is_floating_point():
            self._look_at_function(at, node, tensor)

    def _look_at_function(self, at: int, node: Node, tensor: Tensor) -> None:
        assert self._detail is not None
        if is_rectifier(node):
            if at in self._units:
                self.silent[at] = silent(tensor, self._units[at])
        elif (bounds := flat_beyond(node, self._detail.flat)) is not None:
            self.flat[at] = share_outside(tensor, *bounds)

    def _watch(self, tensor: Tensor) -> None:
        """Asks for the gradient of a tensor, once it has a history and before it gets another."""
        entry = self.recorder.entry(tensor)
        if not isinstance(entry, ActivationTensor) or entry.node in self._hooked:
            return
        at = entry.node
        if at not in self._versions:  # of a recurrent module, which is recorded as a whole
            with _disable_current_modes(), torch.no_grad():
                self._look(tensor)
        if not self._backward or not tensor.requires_grad or at not in self._versions:
            return
        self._hooked.add(at)
        if not is_watched(self.recorder.nodes[at]):
            return
        # torch crashes at a hook on a view whose base was written since.
        if tensor._is_view() and tensor._version != self._versions[at]:
            return

        def keep(gradient: Tensor) -> None:
            self.gradients[at] = norm(gradient)

        handle = tensor.register_hook(keep)  # type: ignore[no-untyped-call]
        if tensor.is_leaf:
            self._on_leaves.append(handle)
