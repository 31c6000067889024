"""Provenance: which tensors hold values that follow from the program, and not from chance."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from fanin.frameworks.torch._call import flat_tensors

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
    infos = [one.alias_info for one in func._schema.arguments if one.alias_info is not None]
    return bool(infos) and not any(info.is_write for info in infos)


def written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors among the arguments that it changes."""
    found: list[Any] = []
    for position, one in enumerate(func._schema.arguments):
        if one.alias_info is not None and one.alias_info.is_write:
            given = args[position] if position < len(args) else kwargs.get(one.name)
            found.extend(given if isinstance(given, (list, tuple)) else [given])
    return [one for one in found if isinstance(one, Tensor)]


def overwrites(func: Any) -> bool:
    """Whether what it writes does not depend on what was there."""
    return name_of(func) in _OVERWRITES or any(one.is_out for one in func._schema.arguments)


def covers(view: Tensor) -> bool:
    """Whether a view has all of its memory."""
    return view.numel() * view.element_size() == view.untyped_storage().nbytes()


class Chance:
    """The memory of which some is drawn, empty, or computed from such."""

    def __init__(self) -> None:
        self._storages: dict[int, StorageWeakRef] = {}  # the reference keeps the number taken

    def __contains__(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._storages

    def add(self, tensor: Tensor) -> None:
        """This tensor, and what shares its memory, is a matter of chance."""
        reference = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        self._storages[reference.cdata] = reference

    def remove(self, tensor: Tensor) -> None:
        """All of its memory was written anew."""
        self._storages.pop(tensor.untyped_storage()._cdata, None)

    def follow(
        self, func: Any, read: Iterable[Tensor], changed: list[Tensor], made: Iterable[Tensor]
    ) -> None:
        """Note what an operation on tensors with memory did."""
        overwriting = overwrites(func)
        targets = {id(one) for one in changed} if overwriting else set()
        chance = is_chance(func) or any(one in self for one in read if id(one) not in targets)
        if is_view(func):
            return
        for one in changed:
            if chance:
                self.add(one)
            elif overwriting and covers(one):
                self.remove(one)
        if chance and not changed:
            for one in made:
                self.add(one)


def stored_tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested arguments or results that have a storage."""
    return (one for one in flat_tensors(value) if one.layout is torch.strided)
