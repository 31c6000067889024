"""Saved: what a model and the objects that it reaches hold, to be put back after a run."""

import operator
import sys
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from fanin.frameworks.torch.runs._tensors import is_freed

_LIMIT = 100_000  # values looked at, and elements of one container: objects may lead anywhere
_SMALL = 1 << 16  # parameters up to this size are put back, if a run wrote them
_UNSET = object()
_ATOMS = frozenset(
    (
        *(type(None), bool, int, float, complex, str, bytes, range, slice, type),
        *(weakref.ProxyType, weakref.CallableProxyType),  # a dead one raises at every question
    )
)
_KINDS = (OrderedDict, dict, list, set, deque)  # an OrderedDict is cleared by its own method
_BUILT_IN = frozenset((dict, list, set))
_OUTSIDE = ("torch._", "torch.fx", "torch.utils", "torch.cuda")
_PLAIN = ("collections", "types")  # of the standard library


class _Container(NamedTuple):
    value: Any
    kind: Any
    before: Any

    def restore(self) -> None:
        if _same(self.value, self.before):
            return
        self.kind.clear(self.value)
        if issubclass(self.kind, dict):
            for key, value in self.before.items():
                self.kind.__setitem__(self.value, key, value)
        else:
            grow = self.kind.update if self.kind is set else self.kind.extend
            grow(self.value, self.before)


class _SavedAttribute(NamedTuple):
    """One attribute of an object with __slots__, or the content of a function's cell."""

    owner: Any
    name: str
    before: Any

    def restore(self) -> None:
        if _held(self.owner, self.name) is self.before:
            return
        if self.before is _UNSET:
            object.__delattr__(self.owner, self.name)
        else:
            object.__setattr__(self.owner, self.name, self.before)


class _SavedTensor(NamedTuple):
    """A tensor that a real run may write in place."""

    tensor: Tensor
    before: Tensor

    def restore(self) -> None:
        with torch.no_grad(), torch.inference_mode(self.tensor.is_inference()):
            if not torch.equal(self.tensor, self.before):  # batch norm counts no version
                self.tensor.data.copy_(self.before)  # .data: what was made with it stays valid


class Saved:
    """Attributes of modules as they were, and all that can be reached from them.

    Lists, dicts, sets, deques and tuples however deep, the attributes of other objects, and
    what functions (hooks among them) close over. Not classes, globals and the objects of the
    standard library and of torch's internals. `tensors` keeps the values of plain tensors and
    buffers too, which a real run may write; parameters are never copied. Beyond 100000 values
    nothing is looked at.
    """

    def __init__(self, modules: Iterable[nn.Module], *, tensors: bool = False) -> None:
        self._found: list[_Container | _SavedAttribute | _SavedTensor] = []
        self._tensors = tensors
        self._seen: dict[int, Any] = {}  # the object, so that its id stays taken
        self._slots: dict[type, tuple[str, ...]] = {}
        self._queue: deque[Any] = deque(modules)
        while self._queue and len(self._seen) < _LIMIT:
            value = self._queue.popleft()
            if id(value) not in self._seen:
                self._seen[id(value)] = value
                self._look(value)

    def restore(self) -> None:
        for item in self._found:
            item.restore()

    def _later(self, values: Iterable[Any]) -> None:
        self._queue.extend([item for item in islice(values, _LIMIT) if type(item) not in _ATOMS])

    def _look(self, value: Any) -> None:
        if type(value) in _BUILT_IN:  # most are
            self._keep(value, type(value))
            return
        if type(value) is OrderedDict:  # of a module's hooks
            self._keep(value, OrderedDict)
            self._keep(vars(value), dict)
            return
        if isinstance(value, Tensor):
            self._look_at_tensor(value)
            return
        if isinstance(value, tuple | frozenset):
            self._later(value)
        kind = next((item for item in _KINDS if isinstance(value, item)), None)
        if kind is not None:
            self._keep(value, kind)
        elif isinstance(value, types.FunctionType):
            self._later(value.__closure__ or ())
        elif isinstance(value, types.CellType):
            self._keep_slot(value, "cell_contents")
        elif isinstance(value, types.MethodType):
            self._later((value.__self__, value.__func__))
        elif isinstance(value, partial):
            self._later((value.func, *value.args, *value.keywords.values()))
        if _is_looked_into(value):
            attributes = _find_state(value)
            if attributes is not None:
                self._keep(attributes, dict)
            kind = type(value)
            if kind not in self._slots:
                self._slots[kind] = tuple(_slot_names(kind))
            for name in self._slots[kind]:
                self._keep_slot(value, name)

    def _keep(self, value: Any, kind: Any) -> None:
        before: Any = dict.copy(value) if issubclass(kind, dict) else list(value)
        self._found.append(_Container(value, kind, before))
        if before:
            self._later(before.values() if issubclass(kind, dict) else before)

    def _keep_slot(self, owner: Any, name: str) -> None:
        before = _held(owner, name)
        self._found.append(_SavedAttribute(owner, name, before))
        self._later((before,))

    def _look_at_tensor(self, tensor: Tensor) -> None:
        if not self._tensors or isinstance(tensor, nn.Parameter | FakeTensor):
            return
        if tensor.is_meta or tensor.layout is not torch.strided or tensor.is_nested:
            return
        if is_freed(tensor):
            return
        with torch.no_grad():
            self._found.append(_SavedTensor(tensor, tensor.detach().clone()))


def _held(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except (AttributeError, ValueError):  # a cell without content raises ValueError
        return _UNSET


def _same(value: Any, before: Any) -> bool:
    if not before:
        return not len(value)
    if len(value) != len(before) or not all(map(operator.is_, value, before)):
        return False
    return not isinstance(value, dict) or all(map(operator.is_, value.values(), before.values()))


def _is_looked_into(value: Any) -> bool:
    """Whether an object's attributes are its own affair and not a library's."""
    if isinstance(value, nn.Module):
        return True
    if isinstance(value, type | types.ModuleType | types.FunctionType | types.MethodType):
        return False
    source = str(type(value).__module__)
    if source.startswith(_OUTSIDE):
        return False
    top = source.partition(".")[0]
    return top in _PLAIN or top not in sys.stdlib_module_names


def _find_state(value: Any) -> dict[str, Any] | None:
    try:
        found = object.__getattribute__(value, "__dict__")
    except Exception:  # a class may define it as anything
        return None
    return found if isinstance(found, dict) else None


def _slot_names(kind: type) -> Iterator[str]:
    for item in kind.__mro__:
        names = item.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if isinstance(item.__dict__.get(name), types.MemberDescriptorType):
                yield name


@contextmanager
def write_back(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """What a run does to parameters: layers scale themselves on the first batch, or freeze some.

    Values of small ones alone are put back.
    """
    training = [(parameter, parameter.requires_grad) for parameter in parameters]
    small = [(tensor, tensor.detach().clone()) for tensor, _ in training if _is_small(tensor)]
    try:
        yield
    finally:
        for tensor, trainable in training:
            if tensor.requires_grad is not trainable:
                tensor.requires_grad_(trainable)
        with torch.no_grad():
            for tensor, kept in small:
                if not torch.equal(tensor, kept):
                    tensor.copy_(kept)


def _is_small(tensor: Tensor) -> bool:
    plain = tensor.layout is torch.strided and not tensor.is_meta
    return plain and tensor.numel() <= _SMALL
