"""Trace on torch: a model of Keras as a torch.nn.Module, which the tracer of torch runs."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import torch
from keras.src.backend.torch import random
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from fanin.frameworks._adapter import Facts
from fanin.frameworks._first_steps import FirstSteps, RunAsked, StepsAsked
from fanin.frameworks._observation import Observation
from fanin.frameworks.keras._compiled import find_loss
from fanin.frameworks.keras._errors import plain_errors
from fanin.frameworks.keras._inputs import Arguments, call_arguments, refuse_symbolic
from fanin.frameworks.keras._recurrent import kind_of
from fanin.frameworks.keras._roles import role_of
from fanin.frameworks.keras._slots import places_of
from fanin.frameworks.keras._walk import Place, buffers, layers_of
from fanin.frameworks.torch import Reading, Recurrent
from fanin.frameworks.torch import measure as measure_module
from fanin.frameworks.torch import subject as subject_of_torch
from fanin.frameworks.torch import trace as trace_module
from fanin.graph import Graph

Call = Callable[..., Any]

_PADDINGS = (keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D)


def trace(model: Any, arguments: Arguments, rename: Mapping[str, str] | None) -> Graph:
    """The graph of one run on fake tensors; names are those of the walk."""
    args, kwargs = arguments
    return trace_module(Shell(model), {"args": args, "kwargs": kwargs}, rename)


def measure(
    model: Any, arguments: Arguments, graph: Graph, rename: Mapping[str, str] | None
) -> Graph:
    """The graph of `trace` with the mean squares of its nodes, of one run in train mode."""
    args, kwargs = arguments
    return measure_module(Shell(model), {"args": args, "kwargs": kwargs}, graph, rename)


def symbolic(tensor: keras.KerasTensor) -> torch.Tensor:
    """A tensor without memory of the shape and type of a KerasTensor."""
    like = keras.ops.convert_to_tensor(0, dtype=tensor.dtype)
    return torch.empty(tensor.shape, dtype=like.dtype, device="meta")


class Subject:
    """What `fanin.frameworks._adapter.Subject` says, of a model of Keras that torch runs."""

    def __init__(self, model: Any) -> None:
        self._model, self._shell = model, Shell(model)
        self._own = subject_of_torch(self._shell)

    @property
    def facts(self) -> Facts:
        """What a report says of the model and the machine."""
        own = self._own.facts
        framework = f"keras {keras.__version__} on {own.framework}"
        return own._replace(model=type(self._model).__name__, framework=framework)

    @property
    def tiny(self) -> float:
        """The smallest number that its types hold in full."""
        return self._own.tiny

    def batch_of(self, inputs: object) -> int:
        """How many inputs a batch holds."""
        return self._own.batch_of(self._arguments(inputs))

    def observe(self, run: RunAsked) -> Observation:
        """One real run, forward and backward, after which the model is as it was."""
        return self._own.observe(self._translate(run))

    def find_left_out(self, optimizer: object) -> tuple[str, ...]:
        """The trainable parameters that an optimizer of torch did not get."""
        return self._own.find_left_out(optimizer)

    def is_sgd(self, optimizer: object) -> bool:
        """Whether it is torch.optim.SGD, or "sgd"."""
        return self._own.is_sgd(optimizer)

    def take_steps(self, run: RunAsked, asked: StepsAsked) -> FirstSteps:
        """The first steps of training, taken back in the end."""
        return self._own.take_steps(self._translate(run), asked)

    def _translate(self, run: RunAsked) -> RunAsked:
        """What is asked of the model, as it is asked of torch."""
        inputs, targets = self._arguments(run.inputs), run.targets
        if isinstance(targets, np.ndarray):
            targets = keras.ops.convert_to_tensor(targets)
        loss = run.loss or (None if targets is None else find_loss(self._model))
        return replace(run, inputs=inputs, targets=targets, loss=loss)

    def _arguments(self, inputs: object) -> dict[str, Any]:
        args, kwargs = call_arguments(self._model, inputs, refuse_symbolic)
        return {"args": args, "kwargs": kwargs}


class _LayerAsModule(nn.Module):
    """A layer of Keras in the tree of a shell: it runs when the layer is called."""

    call: Call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer's `call` returns."""
        return self.call(*args, **kwargs)


class Shell(nn.Module):
    """A model of Keras as a module whose tree and names are those of the walk.

    While it runs, the model's variables hold the shell's parameters and buffers, whatever these
    are then, and its layers are called through the modules of the tree, so that whoever looks at
    modules sees them. Afterwards the model is as it was.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._model = (model,)  # in a tuple, or it were a part of the tree
        self._layers = layers_of(model)
        self._tree: dict[str, nn.Module] = {"": self}
        self._held: list[tuple[Any, dict[str, Any], str]] = []  # variable, and where its value is
        trained = [places[0] for _, places in places_of(model).values()]
        for place in trained:
            self._hold(place.name, place.variable, trained=True)
        for places in buffers(self._layers).values():
            self._hold(places[0].name, places[0].variable, trained=False)
        known = {id(variable) for variable, _, _ in self._held}
        for at, variable in enumerate(model.variables):  # states of random generators
            if id(variable) not in known:
                self._hold(f"state.{at}", variable, trained=False)
        for path in self._layers:
            module = self._module(path)
            if isinstance(module, Recurrent):
                module.uses = _readings(path, trained)

    def _module(self, path: str) -> nn.Module:
        if path not in self._tree:
            head, _, own = path.rpartition(".")
            kind = kind_of(self._layers.get(path))
            made: nn.Module = _LayerAsModule() if kind is None else Recurrent()
            if isinstance(made, Recurrent):
                made.kind = str(kind)
            self._module(head)._modules[own] = self._tree[path] = made
        return self._tree[path]

    def _hold(self, name: str, variable: Any, *, trained: bool) -> None:
        head, _, own = name.rpartition(".")
        module = self._module(head)
        held: dict[str, Any] = module._parameters if trained else module._buffers
        held[own] = variable._value
        self._held.append((variable, held, own))

    def forward(self, *, args: Any, kwargs: Any) -> Any:
        """What the model returns, in train mode if the shell is."""
        with ExitStack() as stack:
            stack.enter_context(self._values())
            stack.enter_context(self._calls())
            stack.enter_context(_plain_chance())
            stack.enter_context(keras.device("cpu"))
            stack.enter_context(plain_errors())
            return self._model[0](*args, **{"training": self.training, **kwargs})

    @contextmanager
    def _values(self) -> Iterator[None]:
        """The variables hold what the shell holds."""
        before = [variable._value for variable, _, _ in self._held]
        try:
            for variable, held, own in self._held:
                variable._value = held[own]
            yield
        finally:
            for (variable, _, _), value in zip(self._held, before, strict=True):
                variable._value = value

    @contextmanager
    def _calls(self) -> Iterator[None]:
        """The layers run as modules of the tree."""
        inner = [(layer, self._module(path)) for path, layer in self._layers.items() if path]
        try:
            for layer, module in inner:
                vars(module)["call"] = _as_torch(layer)
                vars(layer)["call"] = _through(module, layer.call)
            yield
        finally:
            for layer, module in inner:
                vars(layer).pop("call", None)
                vars(module).pop("call", None)


def _readings(path: str, trained: list[Place]) -> dict[str, Reading]:
    """How a recurrent layer uses the variables below it, by their names from there."""
    found: dict[str, Reading] = {}
    for name, layer, leaf, variable in trained:
        if name.startswith(f"{path}.") or not path:
            role = role_of(layer, leaf, tuple(variable.shape), None)
            found[name.removeprefix(f"{path}.")] = Reading(
                role.axes, 0 if leaf == "kernel" else None
            )
    return found


def _as_torch(layer: Any) -> Call:
    """What a layer computes, as one operation of torch where torch has one."""
    call: Call = layer.call
    if isinstance(layer, keras.layers.BatchNormalization):
        return functools.partial(_batch_norm, layer)
    if isinstance(layer, keras.layers.GroupNormalization):
        return functools.partial(_group_norm, layer)
    if isinstance(layer, _PADDINGS) and layer.data_format == "channels_last":
        return functools.partial(_pad, layer)
    if isinstance(layer, keras.layers.SpectralNormalization):
        return functools.partial(_spectral_norm, layer, call)
    if isinstance(layer, keras.layers.RNN) and kind_of(layer) is not None:
        return functools.partial(_recurrence, layer, call)
    return call


def _spectral_norm(layer: Any, call: Call, inputs: Any, training: Any = False) -> torch.Tensor:
    """A layer with its weight normalized, as in train mode, which Keras writes into the weight."""
    before = layer.kernel._value
    try:
        if training and (isinstance(before, FakeTensor) or before.any()):
            layer.kernel._value = layer.normalized_weights()[1]
        made: torch.Tensor = call(inputs, training=False)
        return made
    finally:
        layer.kernel._value = before


def _recurrence(layer: Any, call: Call, sequences: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """What a recurrent layer gives, on fake tensors by shape alone: nobody sees its steps."""
    if not isinstance(sequences, FakeTensor):
        return call(sequences, *args, **kwargs)
    shapes = layer.compute_output_shape(tuple(sequences.shape))
    if not layer.return_state:
        return sequences.new_empty(shapes)
    return tuple(map(sequences.new_empty, shapes))


def _batch_norm(
    layer: Any, inputs: torch.Tensor, training: Any = None, mask: Any = None
) -> torch.Tensor:
    """A batch normalization; Keras makes it of sums. Its statistics stay as they are."""
    scale, shift = _values_of(layer.gamma, layer.beta)
    mean, variance = _values_of(layer.moving_mean, layer.moving_variance)
    x = inputs.movedim(layer.axis, 1)
    x = nn.functional.batch_norm(
        x,
        mean.detach().clone(),  # torch moves them in place
        variance.detach().clone(),
        scale,
        shift,
        training=bool(training) and layer.trainable,
        eps=layer.epsilon,
    )
    return x.movedim(1, layer.axis)


def _group_norm(layer: Any, inputs: torch.Tensor) -> torch.Tensor:
    """A group normalization; Keras makes it of sums."""
    scale, shift = _values_of(layer.gamma, layer.beta)
    x = inputs.movedim(layer.axis, 1)
    x = nn.functional.group_norm(x, layer.groups, scale, shift, layer.epsilon)
    return x.movedim(1, layer.axis)


def _pad(layer: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Zeros around a map, where torch has its positions: elsewhere they could be anything's."""
    pairs = (layer.padding,) if isinstance(layer, _PADDINGS[0]) else layer.padding
    widths = [size for pair in reversed(pairs) for size in pair]
    return nn.functional.pad(inputs.movedim(-1, 1), widths).movedim(1, -1)


def _values_of(*variables: Any) -> list[Any]:
    return [None if variable is None else variable.value for variable in variables]


def _through(module: nn.Module, call: Call) -> Call:
    """A function with the signature of `call` that calls a module."""

    @functools.wraps(call)
    def run(*args: Any, **kwargs: Any) -> Any:
        return module(*args, **kwargs)

    return run


@contextmanager
def _plain_chance() -> Iterator[None]:
    """Dropout is torch's own, and no seed of Keras is read as a number to make a generator of."""
    before = {name: getattr(random, name) for name in ("dropout", "torch_seed_generator")}

    def dropout(inputs: Any, rate: float, noise_shape: Any = None, seed: Any = None) -> Any:
        return before["dropout"](inputs, rate)

    random.dropout, random.torch_seed_generator = dropout, lambda seed: None
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(random, name, function)
