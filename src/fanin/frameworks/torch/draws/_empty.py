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

from fanin.frameworks.torch.draws._builder import Builder

_SET_DATA = torch.Tensor.data.__set__  # type: ignore[attr-defined]
_IS_META = torch.Tensor.is_meta.__get__  # type: ignore[attr-defined]
_DEVICE = torch.Tensor.device.__get__


class _Disguise(TorchFunctionMode):
    """Empty parameters look as if they were on their device.

    Constructors put buffers on the device of a weight. Functions of torch.nn.init do nothing on
    the meta device: those that draw may, and make the values chance; dirac_ must not. And
    `parameter.data = values` may cross devices here.
    """

    def __init__(self, builder: Builder) -> None:
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
                twin.forget()
                if caller.f_code.co_name == "_no_grad_trunc_normal_":
                    told = (caller.f_locals[position] for position in ("mean", "std", "a", "b"))
                    self.builder.history.note_truncated(args[0], *told)
        return func(*args, **(kwargs or {}))


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
        builder = stack.enter_context(Builder())
        stack.enter_context(_Disguise(builder))
        stack.callback(setattr, _threads, "builder", None)
        _threads.builder = builder
        _hook(stack, builder)
        yield
        builder.finish()


def _hook(stack: ExitStack, builder: Builder) -> None:
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
