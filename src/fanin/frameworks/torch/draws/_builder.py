"""Builder: runs the operations of a constructor for parameters that have no memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_map

from fanin.errors import FaninError
from fanin.frameworks.torch.draws._provenance import (
    Chance,
    covers,
    find_stored,
    find_written,
    is_chance,
    is_random,
    is_view,
    name_of,
    needs_no_values,
    overwrites,
    reshapes,
    writes_part,
)
from fanin.frameworks.torch.draws._records import DRAWN, RECORDS, Record
from fanin.frameworks.torch.draws._replay import (
    Geometry,
    History,
    MemoryView,
    anew,
    find_draws,
    geometry,
)

_META = torch.device("meta")
# A larger parameter whose elements are all equal is remembered by one of them.
_LARGE = 1 << 20  # bytes
_NOT_YET = (
    "that are not drawn yet under empty_weights. Build this model without it, and call "
    "fanin.initialize then."
)


@dataclass(frozen=True)
class _WrittenPart:
    """The part of a parameter that an operation writes."""

    at: Geometry


class Twin:
    """What stands for an empty parameter's memory: values that the constructor computed.

    `values` has the geometry that the parameter was made with; None stands for chance, or for
    `constant` everywhere.
    """

    def __init__(self, empty: Tensor, device: torch.device) -> None:
        self.storage = empty.untyped_storage()  # keeps its number taken
        self.empty, self.device = empty.detach(), device
        self.values: Tensor | None = None
        self.constant: Tensor | None = None
        self.parts: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []  # written, of chance
        self.written = 0  # elements, at most

    def forget(self) -> None:
        """The values are a matter of chance from now on."""
        self.values = self.constant = None
        self.parts, self.written = [], 0

    def memory(self) -> Tensor:
        """The values, with memory of their own from now on."""
        if self.values is None:
            self.values = torch.empty_like(self.empty, device=self.device)
            if self.constant is not None:
                self.values.fill_(self.constant)
            self.constant = None
        return self.values


class Builder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operation of a constructor, on parameters' twins where they have values.

    Values of chance are never computed for a parameter; what is computed from them has no
    memory either.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.twins: dict[int, Twin] = {}
        self.chance = Chance()
        self.history = History()
        self.device = torch.device("cpu")  # where the last parameter would have been made
        self.modules: dict[int, ref[nn.Module]] = {}

    def adopt(self, data: Tensor) -> Tensor:
        """An empty tensor that stands for this one."""
        with plainly():
            data = data.detach()
            before = self.twin(data)
            if before is not None:
                return data
            self.device = self.device if data.is_meta else data.device
            empty = torch.empty_like(data, device=_META)
            twin = self.twins[empty.untyped_storage()._cdata] = Twin(empty, self.device)
            if data.is_meta:
                return empty
            large = data.numel() * data.element_size() > _LARGE
            if large and data in self.chance:
                return empty
            first = data[(0,) * data.dim()] if data.numel() else None
            if large and first is not None and bool((data == first).all()):
                twin.constant = first.clone()
            elif empty.stride() == data.stride():
                twin.values = data  # the constructor may go on writing it
            else:
                twin.values = torch.empty_like(empty, device=self.device).copy_(data)
                if data in self.chance:
                    self.chance.add(twin.values)
            return empty

    def twin(self, tensor: Tensor) -> Twin | None:
        """Of an empty parameter, or a view of it."""
        return self.twins.get(tensor.untyped_storage()._cdata) if tensor.is_meta else None

    def value(self, tensor: Tensor) -> Tensor | None:
        """The values of a tensor, an empty parameter's or a view's too; None for chance."""
        if not tensor.is_meta:
            return None if tensor in self.chance else tensor
        twin = self.twin(tensor)
        if twin is None or tensor.dtype != twin.empty.dtype:
            return None
        if twin.constant is None and (twin.values is None or twin.values in self.chance):
            return None
        return _view(twin, tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        with torch._C.DisableTorchFunction():
            return self._dispatch(func, args, dict(kwargs or {}))

    def _dispatch(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors = list(find_stored([args, kwargs]))
        if any(type(tensor) not in (Tensor, nn.Parameter) for tensor in tensors):
            return func(*args, **kwargs)
        if kwargs.get("device") == _META and not tensors:
            kwargs["device"] = self.device  # asked of an empty parameter, or by the user
        changed = find_written(func, args, kwargs)
        if not any(tensor.is_meta for tensor in tensors):
            return self._really(func, args, kwargs)
        if is_view(func) or reshapes(func):
            return func(*args, **kwargs)
        return (
            self._change(func, args, kwargs, changed)
            if changed
            else self._compute(func, tensors, args, kwargs)
        )

    def _compute(
        self, func: Any, tensors: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """An operation that makes tensors, of some without memory."""
        if needs_no_values(func):
            twin = self.twin(args[0])
            if kwargs.get("device") in (None, _META):
                kwargs["device"] = twin.device if twin else self.device
            return func(*args, **kwargs)
        if not is_chance(func) and self._knows(tensors):
            return self._run(func, args, kwargs, [])
        if name_of(func) == "_to_copy" and kwargs.get("device") not in (None, _META):
            self.device, kwargs["device"] = kwargs["device"], _META
        try:
            out = func(*tree_map(_without_memory, args), **tree_map(_without_memory, kwargs))
        except (RuntimeError, NotImplementedError) as error:
            shape = tuple(next(tensor for tensor in tensors if tensor.is_meta).shape)
            raise FaninError(
                f"the model's constructor computes {name_of(func)} of values of shape {shape} "
                f"{_NOT_YET}"
            ) from error
        made = list(find_stored(out))
        for tensor in made:
            if not tensor.is_meta:
                self.chance.add(tensor)
        self.history.note(func, args, kwargs, made, self.value)
        return out

    def _change(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], changed: list[Tensor]
    ) -> Any:
        """An operation in place: on the twins if it follows from known values, else of chance."""
        overwriting = overwrites(func) or writes_part(func, args)
        targets = {id(item) for item in changed}
        read = [
            tensor
            for tensor in find_stored([args, kwargs])
            if not overwriting or id(tensor) not in targets
        ]
        known = self._knows(read)
        chance = is_random(func) or not known or any(item in self.chance for item in read)
        for tensor in changed:
            twin = self.twin(tensor)
            if not tensor.is_meta:
                if not known:
                    raise FaninError(
                        f"the model's constructor writes ({name_of(func)}) a tensor of shape "
                        f"{tuple(tensor.shape)} from parameters {_NOT_YET}"
                    )
            elif twin is not None and chance:
                before = self._before(func, changed)
                twin.forget()
                self.history.note(func, args, kwargs, (), self.value, before)
            elif twin is not None and overwrites(func) and covers(tensor):
                self._renew(twin, func, args)
            elif twin is None and chance:
                self.history.note(func, args, kwargs, (), self.value)
            elif twin is not None and overwriting:
                self._write_part(twin, tensor, func, args, kwargs)
        if known and self._knows(changed):
            self._run(func, args, kwargs, changed)
        return changed[0] if len(changed) == 1 else changed

    def _write_part(
        self, twin: Twin, target: Tensor, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """A part of its memory, of which nothing is known, is written by the program.

        There is memory once the parts may cover it, not for a table's one padding row.
        """
        if self.value(target) is not None:
            return
        args, kwargs = tree_map(
            lambda item: _WrittenPart(geometry(item)) if item is target else self._copy(item),
            (args, kwargs),
        )
        twin.parts.append((func, args, kwargs))
        twin.written += target.numel()
        if twin.written < twin.empty.numel():
            return
        if twin.values is None:
            self.chance.add(twin.memory())
        for part, its, named in twin.parts:
            its, named = tree_map(
                lambda item: (
                    twin.memory().as_strided(*item.at) if type(item) is _WrittenPart else item
                ),
                (its, named),
            )
            self._really(part, its, named)
        twin.parts.clear()

    def _copy(self, value: Any) -> Any:
        return self._real(value).clone() if isinstance(value, Tensor) else value

    def _renew(self, twin: Twin, func: Any, args: tuple[Any, ...]) -> None:
        """Its values are about to be written, all of them: no chance is left."""
        twin.values = twin.constant = None
        if name_of(func) in ("fill_", "zero_"):
            number = self._real(args[1]) if len(args) > 1 else 0
            scalar = torch.empty((), dtype=twin.empty.dtype, device=twin.device)
            twin.constant = scalar.fill_(number)
        else:
            twin.memory()

    def _knows(self, tensors: list[Tensor]) -> bool:
        """Whether all of those without memory have values."""
        return all(self.value(tensor) is not None for tensor in tensors if tensor.is_meta)

    def _run(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], changed: list[Tensor]
    ) -> Any:
        """The operation on real values."""
        args, kwargs = tree_map(self._real, (args, kwargs))
        if kwargs.get("device") == _META:
            kwargs["device"] = self.device
        if changed and all(tensor.is_meta and self._constant(tensor) for tensor in changed):
            return None  # a fill that was noted
        return self._really(func, args, kwargs)

    def _really(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The operation on tensors with memory; whether it drew is noted, and how."""
        tensors, changed = list(find_stored([args, kwargs])), find_written(func, args, kwargs)
        drawn = is_random(func) or any(tensor in self.chance for tensor in tensors)
        before = self._before(func, changed) if drawn else None
        out = func(*args, **kwargs)
        made = list(find_stored(out))
        self.chance.follow(func, args, tensors, changed, made)
        if any(item in self.chance for item in (changed or made)):
            self.history.note(func, args, kwargs, made, self.value, before)
        return out

    def _before(self, func: Any, changed: list[Tensor]) -> Tensor | None:
        """The values of the memory that a draw is about to change in part."""
        target = changed[0] if len(changed) == 1 else None
        if target is None or anew(func, target):
            return None
        value = self.value(target)
        if value is None or value.untyped_storage().nbytes() > _LARGE:
            return None
        size = value.untyped_storage().nbytes() // value.element_size()
        return value.detach().as_strided((size,), (1,), 0).clone()

    def _constant(self, tensor: Tensor) -> bool:
        twin = self.twin(tensor)
        return twin is not None and twin.constant is not None

    def _real(self, value: Any) -> Any:
        return self.value(value) if isinstance(value, Tensor) and value.is_meta else value

    def finish(self) -> None:
        """Note in the modules what is known of their parameters."""
        with plainly():
            seen: set[int] = set()
            for known in self.modules.values():
                top = known()
                for module in () if top is None else top.modules():
                    if id(module) not in seen:
                        seen.add(id(module))
                        self._note(module)

    def _note(self, module: nn.Module) -> None:
        buffers = {
            attribute: None if step is None else MemoryView(step, geometry(buffer))
            for attribute, buffer in module._buffers.items()
            if buffer is not None and buffer.layout is torch.strided and buffer in self.chance
            for step in (self.history.of(buffer),)
        }
        vars(module)[DRAWN] = buffers
        held = {tuple(find_draws(place)) for place in buffers.values() if place is not None}
        firsts: dict[tuple[int, ...], str] = {}  # by their draws, the first of several parameters
        for attribute, parameter in module._parameters.items():
            twin = None if parameter is None else self.twin(parameter)
            if parameter is not None and twin is not None:
                value = self.value(parameter)
                drawn = self._find_draw(parameter, twin) if value is None else None
                compact = None if value is None else _compact(value)
                record = Record(twin.device, compact, drawn)
                vars(module).setdefault(RECORDS, {})[attribute] = record
                if drawn is not None:
                    draws = tuple(find_draws(drawn))
                    first = firsts.setdefault(draws, attribute)
                    record.drawn = drawn if first == attribute else replace(drawn, first=first)
                    record.joined = draws in held

    def _find_draw(self, parameter: Tensor, twin: Twin) -> MemoryView | None:
        """How the values were drawn, where that can be done again."""
        step = self.history.of(parameter)
        place = parameter
        if step is None and twin.values is not None:  # drawn before it became a parameter
            step, place = self.history.of(twin.values), _view(twin, parameter)
        return None if step is None else MemoryView(step, geometry(place))


def _view(twin: Twin, tensor: Tensor) -> Tensor:
    if twin.constant is not None and tensor.shape == twin.empty.shape:
        return twin.constant.expand(tensor.shape)
    values = twin.memory()
    start = tensor.storage_offset() + values.storage_offset()
    return values.as_strided(tensor.size(), tensor.stride(), start)


def _compact(value: Tensor) -> Tensor:
    """Without the memory of equal elements, or of what else it is a part of."""
    if value.numel():
        first = value[(0,) * value.dim()]
        if bool((value == first).all()):
            return first.clone().expand(value.shape)
    return value.clone() if value.numel() * value.element_size() <= _LARGE else value


def _without_memory(value: Any) -> Any:
    return value.to(_META) if isinstance(value, Tensor) else value


@contextmanager
def plainly() -> Iterator[None]:
    """Without modes and gradients."""
    with _disable_current_modes(), torch._C.DisableTorchFunction(), torch.no_grad():
        yield
