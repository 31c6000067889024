"""Provenance: which tensors hold values that follow from the program, and not from chance."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from fanin.frameworks.torch.runs._tensors import tensors_in

_EMPTY = {
    "empty",
    "empty_like",
    "empty_permuted",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
    "resize_",
}
_OVERWRITES = {"copy_", "fill_", "zero_"}
_LIKE = {"full_like", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like"}


def name_of(func: Any) -> str:
    """The operation's name without its overload."""
    name: str = func._schema.name.partition("::")[2]
    return name


def is_random(func: Any) -> bool:
    """Whether its results are drawn."""
    return torch.Tag.nondeterministic_seeded in func.tags


def is_chance(func: Any) -> bool:
    """Whether its results are drawn, or whatever was in the memory."""
    return is_random(func) or name_of(func) in _EMPTY


def needs_no_values(func: Any) -> bool:
    """Whether it reads nothing of a tensor but its shape, and its result is no chance."""
    return name_of(func) in _LIKE


def is_view(func: Any) -> bool:
    """Whether its result lies in the memory of an argument, which it leaves as it was."""
    infos = [
        argument.alias_info
        for argument in func._schema.arguments
        if argument.alias_info is not None
    ]
    return bool(infos) and not any(info.is_write for info in infos)


def reshapes(func: Any) -> bool:
    """Whether it changes the shape or the strides of a tensor, and no memory: t_, unsqueeze_."""
    return name_of(func) in ("t_", "transpose_", "unsqueeze_", "squeeze_", "as_strided_")


def find_written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors among the arguments that it changes."""
    found: list[Any] = []
    for position, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            given = args[position] if position < len(args) else kwargs.get(argument.name)
            found.extend(given if isinstance(given, (list, tuple)) else [given])
    return [tensor for tensor in found if isinstance(tensor, Tensor)]


def overwrites(func: Any) -> bool:
    """Whether what it writes does not depend on what was there."""
    return name_of(func) in _OVERWRITES or any(
        argument.is_out for argument in func._schema.arguments
    )


def writes_part(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether it writes elements that it is told of, and reads none of what is there."""
    return name_of(func) in _PARTS and not (name_of(func).endswith("put_") and args[3:4] == (True,))


def covers(view: Tensor) -> bool:
    """Whether a view has all of its memory."""
    return view.numel() * view.element_size() == view.untyped_storage().nbytes()


# Operations that write a part of a tensor, whatever was there: what marks the part, with the
# values replaced by True.
_PARTS: dict[str, Callable[[Tensor, tuple[Any, ...]], Any]] = {
    "copy_": lambda mask, args: mask.fill_(True),
    "fill_": lambda mask, args: mask.fill_(True),
    "zero_": lambda mask, args: mask.fill_(True),
    "index_put_": lambda mask, args: mask.index_put_(args[1], mask.new_tensor(True)),
    "_index_put_impl_": lambda mask, args: mask.index_put_(args[1], mask.new_tensor(True)),
    "index_fill_": lambda mask, args: mask.index_fill_(args[1], args[2], True),
    "index_copy_": lambda mask, args: mask.index_fill_(args[1], args[2], True),
    "masked_fill_": lambda mask, args: mask.masked_fill_(args[1], True),
    "fill_diagonal_": lambda mask, args: mask.fill_diagonal_(True),
    "scatter_": lambda mask, args: mask.scatter_(args[1], args[2], True),
}


class Chance:
    """The memory of which some is drawn, empty, or computed from such."""

    def __init__(self) -> None:
        self._storages: dict[int, StorageWeakRef] = {}  # the reference keeps the number taken
        self._known: dict[int, Tensor] = {}  # which elements were written since, where some were

    def __contains__(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._storages

    def add(self, tensor: Tensor) -> None:
        """This tensor, and what shares its memory, is a matter of chance."""
        reference = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        self._storages[reference.cdata] = reference
        self._known.pop(reference.cdata, None)

    def remove(self, tensor: Tensor) -> None:
        """All of its memory was written anew."""
        self._storages.pop(tensor.untyped_storage()._cdata, None)
        self._known.pop(tensor.untyped_storage()._cdata, None)

    def cover(self, func: Any, args: tuple[Any, ...], tensor: Tensor) -> None:
        """A part of its memory is written by the program; with the last of them, all is known."""
        key = tensor.untyped_storage()._cdata
        size = tensor.untyped_storage().nbytes() // tensor.element_size()
        known = self._known.setdefault(key, torch.zeros(size, dtype=torch.bool, device="cpu"))
        view = known.as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())
        if name_of(func) in _PARTS:
            _PARTS[name_of(func)](view, args)
        else:
            view.fill_(True)  # an operation with out=
        if known.all():
            self.remove(tensor)

    def follow(
        self,
        func: Any,
        args: tuple[Any, ...],
        read: Iterable[Tensor],
        changed: list[Tensor],
        made: Iterable[Tensor],
    ) -> None:
        """Note what an operation on tensors with memory did."""
        overwriting = overwrites(func) or writes_part(func, args)
        targets = {id(item) for item in changed} if overwriting else set()
        chance = is_chance(func) or any(item in self for item in read if id(item) not in targets)
        if is_view(func):
            return
        for item in changed:
            if chance:
                self.add(item)
            elif overwrites(func) and covers(item):
                self.remove(item)
            elif overwriting and item in self:
                self.cover(func, args, item)
        if chance and not changed:
            for item in made:
                self.add(item)


def find_stored(value: Any) -> Iterator[Tensor]:
    """The tensors in nested arguments or results that have a storage."""
    return (tensor for tensor in tensors_in(value) if tensor.layout is torch.strided)
