"""Call: one operation as it ran, its arguments by name."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.frameworks.torch.record._record import Recorder
from fanin.frameworks.torch.runs._tensors import arguments_in, tensors_in
from fanin.graph import Values

_COMPARED = 1 << 10  # elements of constants, up to which two operations on them are compared


@cache
def signature(func: Any) -> tuple[str, dict[str, Any]]:
    """The name of an operation, without the mark of one that writes, and defaults by argument."""
    schema = func._schema
    name = func.overloadpacket.__name__
    plain = name[:-1] if schema.is_mutable and name.endswith("_") else name
    return plain, {argument.name: argument.default_value for argument in schema.arguments}


@dataclass(slots=True)
class Call:
    """An operation of torch, the arguments that it got and what it returned."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Any
    recorder: Recorder
    name: str = field(init=False)
    arguments: dict[str, Any] = field(init=False)
    outs: list[Tensor] = field(init=False)
    entries: list[TensorEntry] = field(init=False)  # of the inputs, before it ran
    _inputs: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        self.name, defaults = signature(self.func)
        self.arguments = {**defaults, **dict(zip(defaults, self.args, strict=False)), **self.kwargs}
        self.outs = list(tensors_in(self.out))
        given = arguments_in(self.args, self.kwargs)
        self._inputs = list({id(tensor): tensor for tensor in given}.values())
        self.entries = [self.recorder.entry(tensor) for tensor in self._inputs]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str) -> Any:
        return self.arguments.get(name)

    @property
    def writes(self) -> bool:
        """Whether it writes into an argument."""
        return bool(self.func._schema.is_mutable)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first result."""
        return tuple(self.outs[0].shape)

    @property
    def first(self) -> Tensor:
        """The first tensor among the arguments."""
        return self._inputs[0]

    def inputs(self) -> list[Tensor]:
        """Every tensor among the arguments, in order, once."""
        return self._inputs

    def entry(self, tensor: Tensor) -> TensorEntry:
        return self.recorder.entry(tensor)

    def activation(self, tensor: Tensor) -> ActivationTensor:
        return self.recorder.activation(tensor)

    def activations(self) -> list[Tensor]:
        """The arguments that are activations, those of real numbers alone where there are any."""
        found = [
            source
            for source, entry in zip(self._inputs, self.entries, strict=True)
            if isinstance(entry, ActivationTensor)
        ]
        reals = [item for item in found if item.is_floating_point() or item.is_complex()]
        return reals or found

    def view(self, label: str = "") -> ActivationTensor:
        """A node that moves or selects elements of its first activation."""
        sources = self.activations() or [self.first]
        return self.recorder.emit(
            "view", [self.activation(sources[0])], self.shape, label=label or self.name
        )

    def dim(self, name: str = "dim", of: int | None = None) -> int:
        """A dimension argument, counted from the front."""
        rank = self.first.dim() if of is None else of
        return int(self[name]) % max(rank, 1)

    def key(self) -> Hashable:
        """The operation and its arguments by value; None where a value is not known."""
        constants = [entry for entry in self.entries if isinstance(entry, ConstantTensor)]
        known = [
            constant.value
            for constant in constants
            if constant.value is not None and constant.noise is None
        ]
        unknown = len(known) < len(constants) or any(item.numel() > _COMPARED for item in known)
        if unknown or torch.Tag.nondeterministic_seeded in self.func.tags:
            return None
        return self.func, self._by_value([self.args, sorted(self.kwargs.items())])

    def _by_value(self, value: Any) -> Hashable:
        if isinstance(value, (list, tuple)):
            return tuple(self._by_value(item) for item in value)
        if not isinstance(value, Tensor):
            return repr(value)
        entry = self.entry(value)
        shape = tuple(value.shape)
        if isinstance(entry, ActivationTensor):
            return (self.recorder.twin(entry.node), shape)
        if isinstance(entry, ParameterTensor):
            return (entry, shape)
        assert entry.value is not None
        return (str(entry.value.dtype), tuple(entry.value.reshape(-1).tolist()), shape)

    def number(self, value: Any) -> float | None:
        """The number that an argument stands for: a scalar, or a constant of one value."""
        if isinstance(value, (bool, int, float)):
            return float(value)
        if not isinstance(value, Tensor):
            return None
        entry = self.entry(value)
        if not isinstance(entry, ConstantTensor) or entry.value is None or entry.noise is not None:
            return None
        known = entry.value
        if known.numel() == 0 or known.is_complex():
            return None
        first = known.reshape(-1)[0]
        return float(first) if known.numel() == 1 or bool((known == first).all()) else None

    def function(self, active: list[Tensor]) -> Callable[..., Values]:
        """The operation as a function of these arguments on NumPy arrays, the others bound."""
        places = {id(tensor): index for index, tensor in enumerate(active)}
        args = [self._bind(value, places) for value in self.args]
        kwargs = {
            name: self._bind(value, places)
            for name, value in self.kwargs.items()
            if name not in ("dtype", "layout", "device", "pin_memory", "memory_format")
        }
        return _FunctionCall(out_of_place(self.func), args, kwargs)

    # A method: a function that calls itself would be a cycle, and hold tensors until it is found.
    def _bind(self, value: Any, places: dict[int, int]) -> Any:
        if isinstance(value, Tensor):
            mask = value.dtype == torch.bool
            if id(value) in places:
                return _ArgumentPlace(places[id(value)], mask)
            return _Known(self.number(value), mask)
        if isinstance(value, (list, tuple)):
            return [self._bind(item, places) for item in value]
        return value


@dataclass(frozen=True, slots=True)
class _ArgumentPlace:
    """Where the tensor of an argument is among the active ones."""

    index: int
    mask: bool

    def tensor(self, arrays: tuple[Values, ...]) -> Tensor:
        return _tensor(arrays[self.index], self.mask)


@dataclass(frozen=True, slots=True)
class _Known:
    """A tensor of one known value, which broadcasts to whatever the others are."""

    value: float | None
    mask: bool

    def tensor(self, arrays: tuple[Values, ...]) -> Tensor:
        return _tensor(self.value, self.mask)


def _tensor(values: Any, mask: bool) -> Tensor:
    made = torch.tensor(np.asarray(values, np.float64), device="cpu")
    return made != 0 if mask else made


@dataclass(frozen=True, slots=True)
class _FunctionCall:
    func: Any
    args: list[Any]
    kwargs: dict[str, Any]

    def __call__(self, *arrays: Values) -> Values:
        def fill(value: Any) -> Any:
            if isinstance(value, _ArgumentPlace | _Known):
                return value.tensor(arrays)
            return [fill(item) for item in value] if isinstance(value, list) else value

        args = [fill(value) for value in self.args]
        kwargs = {name: fill(value) for name, value in self.kwargs.items()}
        with _disable_current_modes(), torch.no_grad():
            result: Values = self.func(*args, **kwargs).to(torch.float64).numpy()
        return result


def out_of_place(func: Any) -> Any:
    """The same function without writing: a result may be larger than a constant that it starts."""
    if not func._schema.is_mutable:
        return func
    name = func.overloadpacket.__name__.removesuffix("_")
    return getattr(getattr(torch.ops, func.namespace), name, func)
