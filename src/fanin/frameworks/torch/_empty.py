"""empty_weights: models are built, and their parameters take no memory."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_map

from fanin.errors import FaninError
from fanin.frameworks.torch._provenance import (
    Chance,
    covers,
    flat_tensors,
    is_random,
    is_view,
    name_of,
    needs_no_values,
    overwrites,
    written,
)
from fanin.frameworks.torch._vacancy import RECORDS, Record

_META = torch.device("meta")
# A larger parameter whose elements are all equal is remembered by one of them.
_LARGE = 1 << 20  # bytes


class _Twin:
    """What stands for an empty parameter's memory: values that the constructor computed.

    `values` has the geometry that the parameter was made with; None stands for chance, or for
    `constant` everywhere.
    """

    def __init__(self, empty: Tensor, device: torch.device) -> None:
        self.storage = empty.untyped_storage()  # keeps its number taken
        self.empty, self.device = empty.detach(), device
        self.values: Tensor | None = None
        self.constant: Tensor | None = None

    def memory(self) -> Tensor:
        """The values, with memory of their own from now on."""
        if self.values is None:
            self.values = torch.empty_like(self.empty, device=self.device)
            if self.constant is not None:
                self.values.fill_(self.constant)
            self.constant = None
        return self.values


class _Builder(TorchDispatchMode):
    """Runs every operation of a constructor, on parameters' twins where they have values.

    Values of chance are never computed for a parameter; what is computed from them has no
    memory either.
    """

    def __init__(self) -> None:
        super().__init__()
        self.twins: dict[int, _Twin] = {}
        self.chance = Chance()
        self.modules: WeakSet[nn.Module] = WeakSet()

    def empty_parameter(
        self, make: Callable[..., Any], cls: Any, data: Tensor, requires_grad: bool
    ) -> Any:
        """A parameter like the one that `data` would have made."""
        return make(cls, self.adopt(data), requires_grad)

    def adopt(self, data: Tensor) -> Tensor:
        """An empty tensor that stands for this one."""
        with _disable_current_modes(), torch.no_grad():
            data = data.detach()
            before = self._twin(data)
            if before is not None:
                return data
            device = torch.device("cpu") if data.is_meta else data.device
            empty = torch.empty_like(data, device=_META)
            twin = self.twins[empty.untyped_storage()._cdata] = _Twin(empty, device)
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
                twin.values = torch.empty_like(empty, device=device).copy_(data)
                if data in self.chance:
                    self.chance.add(twin.values)
            return empty

    def _twin(self, tensor: Tensor) -> _Twin | None:
        return self.twins.get(tensor.untyped_storage()._cdata) if tensor.is_meta else None

    def value(self, tensor: Tensor) -> Tensor | None:
        """The values of a tensor, an empty parameter's or a view's too; None for chance."""
        if not tensor.is_meta:
            return None if tensor in self.chance else tensor
        twin = self._twin(tensor)
        if twin is None or tensor.dtype != twin.empty.dtype:
            return None
        if twin.constant is None and (twin.values is None or twin.values in self.chance):
            return None
        return _view(twin, tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = list(flat_tensors([args, kwargs]))
        if any(type(one) not in (Tensor, nn.Parameter) for one in tensors):
            return func(*args, **kwargs)
        if kwargs.get("device") == _META and not tensors:
            kwargs["device"] = torch.device("cpu")  # asked of an empty parameter, or by the user
        changed = written(func, args, kwargs)
        if not any(one.is_meta for one in tensors):
            out = func(*args, **kwargs)
            self.chance.follow(func, tensors, changed, flat_tensors(out))
            return out
        if is_view(func):
            return func(*args, **kwargs)
        return self._change(func, args, kwargs, changed) if changed else self._compute(
            func, tensors, args, kwargs
        )

    def _compute(
        self, func: Any, tensors: list[Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """An operation that makes tensors, of some without memory."""
        if needs_no_values(func):
            twin = self._twin(args[0])
            if kwargs.get("device") in (None, _META):
                kwargs["device"] = twin.device if twin else torch.device("cpu")
            return func(*args, **kwargs)
        if not is_random(func) and all(self.value(one) is not None for one in tensors):
            args, kwargs = tree_map(self._real, (args, kwargs))
            return func(*args, **kwargs)
        if name_of(func) == "_to_copy":
            kwargs["device"] = _META
        try:
            return func(*tree_map(_without_memory, args), **tree_map(_without_memory, kwargs))
        except (RuntimeError, NotImplementedError) as error:
            raise FaninError(
                f"the model's constructor computes {name_of(func)} of a parameter of shape "
                f"{tuple(next(one for one in tensors if one.is_meta).shape)}, whose values are "
                "not drawn yet under empty_weights. Build this model without it, and call "
                "fanin.initialize then."
            ) from error

    def _change(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], changed: list[Tensor]
    ) -> Any:
        """An operation in place: on the twins if it follows from known values, else of chance."""
        anew = overwrites(func)
        targets = {id(one) for one in changed}
        read = [one for one in flat_tensors([args, kwargs]) if not anew or id(one) not in targets]
        known = not is_random(func) and all(self.value(one) is not None for one in read)
        for one in changed:
            twin = self._twin(one)
            if not known:
                self._lose(func, one, twin)
            elif twin is not None and anew and covers(one):
                twin.constant = None
                if twin.values is not None:
                    self.chance.remove(twin.values)
                if name_of(func) in ("fill_", "zero_"):
                    number = args[1] if len(args) > 1 else 0
                    twin.values = None
                    number = self._real(number) if isinstance(number, Tensor) else number
                    twin.constant = torch.full((), number, dtype=one.dtype, device=twin.device)
                    return changed[0]
                twin.memory()
        if known and all(self.value(one) is not None for one in changed):
            args, kwargs = tree_map(self._real, (args, kwargs))
            func(*args, **kwargs)
        return changed[0] if len(changed) == 1 else changed

    def _lose(self, func: Any, target: Tensor, twin: _Twin | None) -> None:
        if not target.is_meta:
            raise FaninError(
                f"the model's constructor writes the values of an empty parameter into a tensor of "
                f"shape {tuple(target.shape)} ({name_of(func)}), and they are not drawn yet under "
                "empty_weights. Build this model without it, and call fanin.initialize then."
            )
        if twin is not None:
            twin.values = twin.constant = None

    def _real(self, value: Any) -> Any:
        return self.value(value) if isinstance(value, Tensor) and value.is_meta else value

    def finish(self) -> None:
        """Note in the modules what is known of their parameters."""
        with _disable_current_modes(), torch.no_grad():
            seen: set[int] = set()
            for top in list(self.modules):
                for module in top.modules():
                    if id(module) not in seen:
                        seen.add(id(module))
                        self._note(module)

    def _note(self, module: nn.Module) -> None:
        for attribute, parameter in module._parameters.items():
            twin = None if parameter is None else self._twin(parameter)
            if parameter is not None and twin is not None:
                value = self.value(parameter)
                record = Record(twin.device, None if value is None else value.clone())
                vars(module).setdefault(RECORDS, {})[attribute] = record


def _view(twin: _Twin, tensor: Tensor) -> Tensor:
    if twin.constant is not None and tensor.shape == twin.empty.shape:
        return twin.constant.expand(tensor.shape)
    values = twin.memory()
    start = tensor.storage_offset() + values.storage_offset()
    return values.as_strided(tensor.size(), tensor.stride(), start)


def _without_memory(value: Any) -> Any:
    return value.to(_META) if isinstance(value, Tensor) else value


class _Assignments(TorchFunctionMode):
    """`parameter.data = values`, which torch does not let cross devices."""

    def __init__(self, builder: _Builder) -> None:
        super().__init__()
        self.builder = builder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func == torch.Tensor.data.__set__ and args[0].is_meta:  # type: ignore[attr-defined]
            if type(args[1]) in (Tensor, nn.Parameter):
                args = (args[0], self.builder.adopt(args[1]))
        return func(*args, **(kwargs or {}))


_threads = threading.local()


@contextmanager
def empty_weights() -> Iterator[None]:
    """Models built inside have parameters without memory; see `fanin.empty_weights`."""
    if getattr(_threads, "builder", None) is not None:
        yield  # already inside
        return
    with ExitStack() as stack:
        builder = stack.enter_context(_Builder())
        stack.enter_context(_Assignments(builder))
        stack.callback(setattr, _threads, "builder", None)
        _threads.builder = builder
        _hook(stack, builder)
        yield
        builder.finish()


def _hook(stack: ExitStack, builder: _Builder) -> None:
    """Until the stack is left: parameters of this thread are made empty, modules noted."""
    make = nn.Parameter.__new__

    def new(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
        plain = type(data) in (Tensor, nn.Parameter) and data.layout is torch.strided
        if getattr(_threads, "builder", None) is builder and plain:
            return builder.empty_parameter(make, cls, data, requires_grad)
        return make(cls, data, requires_grad)

    nn.Parameter.__new__ = new  # type: ignore[method-assign, assignment]
    stack.callback(setattr, nn.Parameter, "__new__", staticmethod(make))

    def note(module: nn.Module, name: str, value: Any) -> None:
        if getattr(_threads, "builder", None) is builder:
            builder.modules.add(module)

    for register in (
        registration.register_module_parameter_registration_hook,
        registration.register_module_module_registration_hook,
    ):
        stack.callback(register(note).remove)
