"""empty_weights: models are built, and their parameters take no memory."""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import ref

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
    is_chance,
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
_NOT_YET = (
    "that are not drawn yet under empty_weights. Build this model without it, and call "
    "fanin.initialize then."
)


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


class _Builder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operation of a constructor, on parameters' twins where they have values.

    Values of chance are never computed for a parameter; what is computed from them has no
    memory either.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.twins: dict[int, _Twin] = {}
        self.chance = Chance()
        self.device = torch.device("cpu")  # where the last parameter would have been made
        self.modules: dict[int, ref[nn.Module]] = {}

    def adopt(self, data: Tensor) -> Tensor:
        """An empty tensor that stands for this one."""
        with _plainly():
            data = data.detach()
            before = self.twin(data)
            if before is not None:
                return data
            self.device = self.device if data.is_meta else data.device
            empty = torch.empty_like(data, device=_META)
            twin = self.twins[empty.untyped_storage()._cdata] = _Twin(empty, self.device)
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

    def twin(self, tensor: Tensor) -> _Twin | None:
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
        tensors = list(flat_tensors([args, kwargs]))
        if any(type(one) not in (Tensor, nn.Parameter) for one in tensors):
            return func(*args, **kwargs)
        if kwargs.get("device") == _META and not tensors:
            kwargs["device"] = self.device  # asked of an empty parameter, or by the user
        changed = written(func, args, kwargs)
        if not any(one.is_meta for one in tensors):
            out = func(*args, **kwargs)
            self.chance.follow(func, tensors, changed, flat_tensors(out))
            return out
        if is_view(func):
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
        if not is_chance(func) and self._known(tensors):
            return self._run(func, args, kwargs, [])
        if name_of(func) == "_to_copy" and kwargs.get("device") not in (None, _META):
            self.device, kwargs["device"] = kwargs["device"], _META
        try:
            out = func(*tree_map(_without_memory, args), **tree_map(_without_memory, kwargs))
        except (RuntimeError, NotImplementedError) as error:
            shape = tuple(next(one for one in tensors if one.is_meta).shape)
            raise FaninError(
                f"the model's constructor computes {name_of(func)} of values of shape {shape} "
                f"{_NOT_YET}"
            ) from error
        for one in flat_tensors(out):
            if not one.is_meta:
                self.chance.add(one)
        return out

    def _change(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], changed: list[Tensor]
    ) -> Any:
        """An operation in place: on the twins if it follows from known values, else of chance."""
        anew = overwrites(func)
        targets = {id(one) for one in changed}
        read = [one for one in flat_tensors([args, kwargs]) if not anew or id(one) not in targets]
        known = self._known(read)
        chance = is_random(func) or not known or any(one in self.chance for one in read)
        for one in changed:
            twin = self.twin(one)
            if not one.is_meta:
                if not known:
                    raise FaninError(
                        f"the model's constructor writes ({name_of(func)}) a tensor of shape "
                        f"{tuple(one.shape)} from parameters {_NOT_YET}"
                    )
            elif twin is not None and chance:
                twin.values = twin.constant = None
            elif twin is not None and anew and covers(one):
                self._renew(twin, func, args)
        if known and self._known(changed):
            self._run(func, args, kwargs, changed)
        return changed[0] if len(changed) == 1 else changed

    def _renew(self, twin: _Twin, func: Any, args: tuple[Any, ...]) -> None:
        """Its values are about to be written, all of them: no chance is left."""
        twin.values = twin.constant = None
        if name_of(func) in ("fill_", "zero_"):
            number = self._real(args[1]) if len(args) > 1 else 0
            scalar = torch.empty((), dtype=twin.empty.dtype, device=twin.device)
            twin.constant = scalar.fill_(number)
        else:
            twin.memory()

    def _known(self, tensors: list[Tensor]) -> bool:
        """Whether all of those without memory have values."""
        return all(self.value(one) is not None for one in tensors if one.is_meta)

    def _run(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], changed: list[Tensor]
    ) -> Any:
        """The operation on real values."""
        args, kwargs = tree_map(self._real, (args, kwargs))
        if kwargs.get("device") == _META:
            kwargs["device"] = self.device
        if changed and all(one.is_meta and self._constant(one) for one in changed):
            return None  # a fill that was noted
        out = func(*args, **kwargs)
        self.chance.follow(
            func, flat_tensors([args, kwargs]), written(func, args, kwargs), flat_tensors(out)
        )
        return out

    def _constant(self, tensor: Tensor) -> bool:
        twin = self.twin(tensor)
        return twin is not None and twin.constant is not None

    def _real(self, value: Any) -> Any:
        return self.value(value) if isinstance(value, Tensor) and value.is_meta else value

    def finish(self) -> None:
        """Note in the modules what is known of their parameters."""
        with _plainly():
            seen: set[int] = set()
            for known in self.modules.values():
                top = known()
                for module in () if top is None else top.modules():
                    if id(module) not in seen:
                        seen.add(id(module))
                        self._note(module)

    def _note(self, module: nn.Module) -> None:
        for attribute, parameter in module._parameters.items():
            twin = None if parameter is None else self.twin(parameter)
            if parameter is not None and twin is not None:
                value = self.value(parameter)
                record = Record(twin.device, None if value is None else _compact(value))
                vars(module).setdefault(RECORDS, {})[attribute] = record


def _view(twin: _Twin, tensor: Tensor) -> Tensor:
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


_SET_DATA = torch.Tensor.data.__set__  # type: ignore[attr-defined]
_IS_META = torch.Tensor.is_meta.__get__  # type: ignore[attr-defined]
_DEVICE = torch.Tensor.device.__get__


class _Disguise(TorchFunctionMode):
    """Empty parameters look as if they were on their device.

    Constructors put buffers on the device of a weight. Functions of torch.nn.init do nothing on
    the meta device: those that draw may, and make the values chance; dirac_ must not. And
    `parameter.data = values` may cross devices here.
    """

    def __init__(self, builder: _Builder) -> None:
        super().__init__()
        self.builder = builder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in (_IS_META, _DEVICE, _SET_DATA) and args[0].layout is torch.strided:
            twin = self.builder.twin(args[0])
            if twin is not None and func == _SET_DATA:
                if type(args[1]) in (Tensor, nn.Parameter):
                    args = (args[0], self.builder.adopt(args[1]))
            elif twin is not None and func == _DEVICE:
                return twin.device
            elif twin is not None:
                caller = sys._getframe(1)
                if caller.f_globals.get("__name__") != "torch.nn.init":
                    return False
                if caller.f_code.co_name == "dirac_":
                    return False
                twin.values = twin.constant = None
        return func(*args, **(kwargs or {}))


@contextmanager
def _plainly() -> Iterator[None]:
    """Without modes and gradients."""
    with _disable_current_modes(), torch._C.DisableTorchFunction(), torch.no_grad():
        yield


_threads = threading.local()
_make = nn.Parameter.__new__
_lock, _inside = threading.Lock(), [0]  # how many threads are inside


@contextmanager
def empty_weights() -> Iterator[None]:
    """Models built inside have parameters without memory; see `fanin.empty_weights`."""
    if getattr(_threads, "builder", None) is not None:
        yield  # already inside
        return
    with ExitStack() as stack:
        builder = stack.enter_context(_Builder())
        stack.enter_context(_Disguise(builder))
        stack.callback(setattr, _threads, "builder", None)
        _threads.builder = builder
        _hook(stack, builder)
        yield
        builder.finish()


def _hook(stack: ExitStack, builder: _Builder) -> None:
    """Until the stack is left: parameters of this thread are made empty, modules noted."""

    def note(module: nn.Module, name: str, value: Any) -> None:
        if getattr(_threads, "builder", None) is builder:
            builder.modules[id(module)] = ref(module)

    for register in (
        registration.register_module_parameter_registration_hook,
        registration.register_module_module_registration_hook,
    ):
        stack.callback(register(note).remove)
    with _lock:
        _inside[0] += 1
        nn.Parameter.__new__ = _new  # type: ignore[method-assign]
    stack.callback(_unhook)


def _unhook() -> None:
    with _lock:
        _inside[0] -= 1
        if not _inside[0]:
            nn.Parameter.__new__ = staticmethod(_make)  # type: ignore[method-assign]


def _new(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
    builder = getattr(_threads, "builder", None)
    if builder and type(data) in (Tensor, nn.Parameter) and data.layout is torch.strided:
        data = builder.adopt(data)
    return _make(cls, data, requires_grad)
