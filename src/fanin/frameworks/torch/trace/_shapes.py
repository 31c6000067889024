"""Shapes: what operations on fake tensors return, worked out by torch once for like arguments.

torch's fake mode has a cache of its own, whose keys allow for symbolic sizes: making them took
longer than all else of a run.
"""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

_CPU = torch.device("cpu")
_MOST = 1 << 16  # results that are kept
# Arguments that stand for themselves.
_PLAIN = frozenset(
    (
        *(type(None), bool, int, float, complex, str),
        *(torch.dtype, torch.device, torch.layout, torch.memory_format),
    )
)
_CHANGING = frozenset(
    (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, torch.Tag.inplace_view)
)


class _Unlike(Exception):  # noqa: N818 - ends a look, and never leaves this module
    """Something that a later call may have otherwise."""


class _MadeTensor(NamedTuple):
    """A tensor that an operation returns; `source` is the argument whose memory it shows."""

    source: int | None
    itself: bool  # the argument itself
    shape: Sequence[int]
    stride: Sequence[int]
    offset: int
    dtype: torch.dtype


# By the operation and its arguments, of this process: shapes alone, and no tensor.
_RESULTS: dict[Hashable, Any] = {}


def carry_out(
    fakes: FakeTensorMode, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """An operation on fake tensors on the CPU: its results, as the fake mode makes them."""
    tensors: list[FakeTensor] = []
    try:
        if func.namespace != "aten" or not _CHANGING.isdisjoint(func.tags):
            raise _Unlike
        key: Hashable = (func, torch.get_default_dtype(), _key(args, tensors))
        if kwargs:
            key = (key, *kwargs, _key(tuple(kwargs.values()), tensors))
    except _Unlike:
        return func(*args, **kwargs)
    known = _RESULTS.get(key)
    if known is not None:
        with torch._C._DisableTorchDispatch():
            return _make(fakes, known, tensors)
    out = func(*args, **kwargs)
    try:
        found = _describe(out, tensors)
    except _Unlike:
        return out
    if len(_RESULTS) >= _MOST:
        _RESULTS.clear()
    _RESULTS[key] = found
    return out


def new_fake(
    fakes: FakeTensorMode, shape: Sequence[int], stride: Sequence[int], dtype: torch.dtype
) -> FakeTensor:
    """A fake tensor on the CPU, in memory of its own."""
    with torch._C._DisableTorchDispatch():
        return _new(fakes, shape, stride, dtype)


def _new(
    fakes: FakeTensorMode, shape: Sequence[int], stride: Sequence[int], dtype: torch.dtype
) -> FakeTensor:
    return _wrap(fakes, torch.empty_strided(shape, stride, dtype=dtype, device="meta"))


def _wrap(fakes: FakeTensorMode, memory: Tensor) -> FakeTensor:
    """A fake tensor on the CPU of a meta tensor, as its constructor makes it, in less time."""
    made = Tensor._make_subclass(
        FakeTensor, memory, False, dispatch_device=True, device_for_backend_keys=_CPU
    )
    torch._C._set_throw_on_mutable_data_ptr(made)
    made.__dict__.update(_attributes(fakes))
    return made


@lru_cache(1)
def _attributes(fakes: FakeTensorMode) -> dict[str, Any]:
    """What the constructor of fake tensors gives all of a mode on the CPU."""
    return dict(vars(FakeTensor(fakes, torch.empty(0, device="meta"), _CPU)))


def _key(args: Sequence[Any], tensors: list[FakeTensor]) -> Hashable:
    """Arguments by what results depend on; collects the tensors among them."""
    made: list[Hashable] = []
    for arg in args:
        kind = type(arg)
        if kind is FakeTensor:
            if arg.layout is not torch.strided or arg.is_conj() or arg.is_neg():
                raise _Unlike
            tensors.append(arg)
            made.append((arg.shape, arg.stride(), arg.storage_offset(), arg.dtype))
        elif kind in _PLAIN:
            made.append((kind, arg))
        elif kind is list or kind is tuple:
            made.append(_key(arg, tensors))
        else:
            raise _Unlike
    return tuple(made)


def _describe(out: Any, tensors: list[FakeTensor]) -> Any:
    """Results without the tensors."""
    kind = type(out)
    if kind is tuple or kind is list:
        return kind(_describe(item, tensors) for item in out)
    if kind is not FakeTensor:
        raise _Unlike
    plain = out.layout is torch.strided and not out.is_conj() and not out.is_neg()
    if not plain or out.fake_device != _CPU or out.constant is not None:
        raise _Unlike
    memory = out.untyped_storage()._cdata
    itself = [place for place, item in enumerate(tensors) if item is out]
    sources = itself or [
        place for place, item in enumerate(tensors) if item.untyped_storage()._cdata == memory
    ]
    offset = out.storage_offset()
    if (len(sources) > 1 and not itself) or (offset and not sources):
        raise _Unlike
    source = sources[0] if sources else None
    return _MadeTensor(source, bool(itself), out.shape, out.stride(), offset, out.dtype)


def _make(fakes: FakeTensorMode, known: Any, tensors: list[FakeTensor]) -> Any:
    """The results as tensors once more."""
    if type(known) is not _MadeTensor:
        return type(known)(_make(fakes, item, tensors) for item in known)
    if known.source is None:
        return _new(fakes, known.shape, known.stride, known.dtype)
    source = tensors[known.source]
    if known.itself:
        return source
    shown = torch.empty(0, dtype=known.dtype, device="meta")
    shown.set_(source.untyped_storage(), known.offset, known.shape, known.stride)
    return _wrap(fakes, shown)
