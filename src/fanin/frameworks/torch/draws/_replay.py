"""Replay: how a constructor drew a tensor, to be done again with the draws of a stream."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._pytree import tree_leaves, tree_map

from fanin.frameworks.torch.draws._provenance import (
    covers,
    find_stored,
    find_written,
    is_chance,
    is_random,
    is_view,
    name_of,
    overwrites,
)
from fanin.streams import Stream

_LARGE = 1 << 16  # elements: what is computed with more of them is not remembered
_TRUNCATED = "trunc_normal_"  # torch.nn.init's: no operation of its own
_LEFT_OUT = ("device", "generator", "pin_memory")


Geometry = tuple[tuple[int, ...], tuple[int, ...], int]


@dataclass(frozen=True, eq=False)
class DrawStep:
    """One operation on memory of `size` elements whose values are drawn.

    `args` have a Place for every such tensor. `before` is what made the memory that is changed in
    place, None where the operation makes its own, or writes all. Of a draw, `shape` is its own.
    """

    operation: tuple[str, str]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    dtype: torch.dtype
    size: int
    shape: tuple[int, ...]
    before: "DrawStep | Tensor | None" = None
    changes: bool = False
    output: int = 0  # which of the tensors that the operation makes


@dataclass(frozen=True, eq=False)
class MemoryView:
    """A view of the memory of a step; None is the memory that is changed.

    Of a parameter whose module made another one of the same draws, `first` is that one's name in
    the module: both are drawn from one stream, as the factors of one matrix are.
    """

    step: DrawStep | None
    geometry: Geometry
    first: str = ""


class UnknownError(Exception):
    """An operation that cannot be done again."""


@dataclass
class History:
    """The last step of every memory that is drawn, by the number of its storage."""

    steps: dict[int, DrawStep] = field(default_factory=dict)
    _taken: dict[int, StorageWeakRef] = field(default_factory=dict)  # keeps the numbers taken

    def of(self, tensor: Tensor) -> DrawStep | None:
        return self.steps.get(_key(tensor))

    def note(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        made: Iterable[Tensor],
        known: Callable[[Tensor], Tensor | None],
        before: Tensor | None = None,
    ) -> None:
        """An operation whose results are drawn.

        `known` gives the values of what is not drawn; `before` are those of what it changes.
        """
        changed = find_written(func, args, kwargs)
        targets = changed or list(made)
        if is_view(func) or not targets:
            return
        try:
            if len(changed) > 1:
                raise UnknownError
            steps = [
                self._step(func, args, kwargs, target, output, bool(changed), known, before)
                for output, target in enumerate(targets)
            ]
        except UnknownError:
            for item in targets:
                self.steps.pop(_key(item), None)
        else:
            for target, step in zip(targets, steps, strict=True):
                self._set(target, step)

    def note_truncated(self, target: Tensor, mean: float, std: float, a: float, b: float) -> None:
        """What torch.nn.init.trunc_normal_ would have drawn into memory that is not there."""
        kwargs = {"mean": mean, "std": std, "a": a, "b": b}
        args = (MemoryView(None, geometry(target)),)
        size = target.untyped_storage().nbytes() // target.element_size()
        self.steps.pop(_key(target), None)
        if covers(target):
            shape = tuple(target.shape)
            step = DrawStep((_TRUNCATED, ""), args, kwargs, target.dtype, size, shape, None, True)
            self._set(target, step)

    def _set(self, tensor: Tensor, step: DrawStep) -> None:
        self.steps[_key(tensor)] = step
        reference = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        self._taken[_key(tensor)] = reference

    def _step(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        target: Tensor,
        output: int,
        changes: bool,
        known: Callable[[Tensor], Tensor | None],
        before: Tensor | None,
    ) -> DrawStep:
        def place(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            if changes and value is target:
                return MemoryView(None, geometry(value))
            step = self.of(value)
            if step is not None:
                return MemoryView(step, geometry(value))
            real = known(value)
            if real is None or real.numel() > _LARGE:
                raise UnknownError
            return real.detach().clone()

        old = (self.of(target) if before is None else before) if changes else None
        if old is None and changes and not anew(func, target):
            raise UnknownError
        if is_chance(func) and (name_of(func) not in _DRAWS or func._overloadname == "Tensor"):
            raise UnknownError
        return DrawStep(
            (name_of(func), func._overloadname),
            tree_map(place, args),
            {key: tree_map(place, kwarg) for key, kwarg in kwargs.items() if key not in _LEFT_OUT},
            target.dtype,
            target.untyped_storage().nbytes() // target.element_size(),
            tuple(target.shape),
            old,
            changes,
            output,
        )


def anew(func: Any, target: Tensor) -> bool:
    """Whether all of the memory is written, and nothing read of what was there."""
    return (is_random(func) or overwrites(func)) and covers(target)


def _key(tensor: Tensor) -> int:
    number: int = tensor.untyped_storage()._cdata
    return number


def geometry(tensor: Tensor) -> Geometry:
    """Size, strides and offset of a view."""
    return tuple(tensor.shape), tuple(tensor.stride()), int(tensor.storage_offset())


def replay(place: MemoryView, seed: int, name: str) -> Tensor:
    """The values of a drawn tensor, every draw from the stream of this name, numbered by its order.

    The first draw has the name's own stream, the others those of "name#1", "name#2" and so on.
    """
    if place.first:
        name = ".".join((*name.split(".")[:-1], place.first))
    done: dict[int, Tensor] = {}
    streams = (Stream(seed, f"{name}#{count}" if count else name) for count in itertools.count())

    def memory(step: DrawStep | Tensor | None, size: int, dtype: torch.dtype) -> Tensor:
        if step is None:
            return torch.empty(size, dtype=dtype, device="cpu")
        if isinstance(step, Tensor):
            return step
        if id(step) not in done:
            done[id(step)] = run(step)
        return done[id(step)]

    def run(step: DrawStep) -> Tensor:
        own = memory(step.before, step.size, step.dtype).clone() if step.changes else None

        def real(value: Any) -> Any:
            if not isinstance(value, MemoryView):
                return value
            held = own if value.step is None else memory(value.step, 0, step.dtype)
            assert held is not None
            return held.as_strided(*value.geometry)

        args, kwargs = tree_map(real, (step.args, step.kwargs))
        operation = _operation(step)
        if operation is None or is_random(operation):
            given = kwargs if operation is None else _bind(operation, args, kwargs)
            wide = "float64" if step.dtype == torch.float64 else "float32"
            drawn = _DRAWS[step.operation[0]](next(streams), step.shape, wide, given)
            values = torch.from_numpy(np.ascontiguousarray(drawn)).to(step.dtype)
            if own is None:
                return values.reshape(-1)
            args[0].copy_(values)
            return own
        out = operation(*args, **kwargs)
        if own is not None:
            return own
        made = list(find_stored(out))[step.output]
        return made.as_strided((step.size,), (1,), 0)

    assert place.step is not None
    with torch.no_grad():
        return memory(place.step, 0, place.step.dtype).as_strided(*place.geometry).clone()


def find_draws(place: MemoryView) -> list[int]:
    """The draws that a tensor is made of, by the ids of their steps, in the order of a replay."""
    found: list[int] = []
    seen: set[int] = set()

    def visit(step: DrawStep | Tensor | None) -> None:
        if not isinstance(step, DrawStep) or id(step) in seen:
            return
        seen.add(id(step))
        visit(step.before)
        for value in tree_leaves((step.args, step.kwargs)):
            visit(value.step if isinstance(value, MemoryView) else None)
        operation = _operation(step)
        if operation is None or is_random(operation):
            found.append(id(step))

    visit(place.step)
    return found


def _operation(step: DrawStep) -> Any:
    """What a step runs; None of a draw that is no operation of its own."""
    name, overload = step.operation
    return None if name == _TRUNCATED else getattr(getattr(torch.ops.aten, name), overload)


def _bind(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name; those that are not given have the defaults of the schema."""
    schema = func._schema.arguments
    given = {
        argument.name: argument.default_value for argument in schema if argument.has_default_value()
    }
    return given | dict(zip((argument.name for argument in schema), args, strict=False)) | kwargs


def _uniform(stream: Stream, shape: Any, dtype: str, given: dict[str, Any]) -> Any:
    return stream.uniform(shape, given.get("from", 0.0), given.get("to", 1.0), dtype=dtype)


def _normal(stream: Stream, shape: Any, dtype: str, given: dict[str, Any]) -> Any:
    mean, std = given.get("mean", 0.0), given.get("std", 1.0)
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        drawn = torch.from_numpy(stream.normal(shape, dtype=dtype))
        return (mean + std * drawn).numpy()
    return stream.normal(shape, mean, std, dtype=dtype)


def _draw_truncated(stream: Stream, shape: Any, dtype: str, given: dict[str, Any]) -> Any:
    mean, std = given["mean"], given["std"]
    low, high = ((given[bound] - mean) / std for bound in "ab")
    return stream.truncated_normal(shape, mean, std, low, high, dtype=dtype)


def _exponential(stream: Stream, shape: Any, dtype: str, given: dict[str, Any]) -> Any:
    return -np.log(stream.uniform(shape, 0.0, 1.0, dtype=dtype)) / given["lambd"]


def _log_normal(stream: Stream, shape: Any, dtype: str, given: dict[str, Any]) -> Any:
    return np.exp(_normal(stream, shape, dtype, given))


def _bernoulli(stream: Stream, shape: Any, dtype: str, given: dict[str, Any]) -> Any:
    return stream.uniform(shape, 0.0, 1.0, dtype=dtype) < given["p"]


def _integers(stream: Stream, shape: Any, dtype: str, given: dict[str, Any]) -> Any:
    low, high = given.get("low", 0), given["high"]
    return np.floor(low + (high - low) * stream.uniform(shape, 0.0, 1.0, dtype="float64"))


def _order(stream: Stream, shape: Any, dtype: str, given: dict[str, Any]) -> Any:
    return np.argsort(stream.uniform(shape, 0.0, 1.0, dtype="float64"), kind="stable")


_DRAWS: dict[str, Callable[[Stream, Any, str, dict[str, Any]], Any]] = {
    "rand": _uniform,
    "rand_like": _uniform,
    "uniform_": _uniform,
    "normal": _normal,
    "randn": _normal,
    "randn_like": _normal,
    "normal_": _normal,
    _TRUNCATED: _draw_truncated,
    "exponential_": _exponential,
    "log_normal_": _log_normal,
    "bernoulli_": _bernoulli,
    "randint": _integers,
    "randint_like": _integers,
    "randperm": _order,
}
