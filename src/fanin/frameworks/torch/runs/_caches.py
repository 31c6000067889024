"""Caches: what functions under `functools.lru_cache` remember of a run, and forget behind it."""

import sys
import types
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import _lru_cache_wrapper
from typing import Any

from torch import nn

# What most attributes of modules are.
_HOLD_NONE = frozenset((bool, dict, OrderedDict, set, int, float, str, tuple, type(None)))


class Caches:
    """Those of modules, of their classes, and of the files that these stand in.

    A table that a run on fakes computed would be read ever after. So a cache that took anything
    in is emptied: what it held is computed again.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        classes: dict[type, None] = {}
        values: list[Any] = []
        for module in modules:
            values += vars(module).values()
            classes |= dict.fromkeys(type(module).__mro__)
        own = [kind for kind in classes if not _is_base(kind)]
        files = {kind.__module__: sys.modules.get(kind.__module__) for kind in own}
        for holder in (*own, *files.values()):
            values += vars(holder).values() if holder is not None else ()
        held = (value for value in values if type(value) not in _HOLD_NONE)
        found = {id(cache): cache for value in held for cache in _caches_in(value)}
        self._found = [(cache, cache.cache_info().misses) for cache in found.values()]

    def restore(self) -> None:
        for cache, misses in self._found:
            if cache.cache_info().misses != misses:
                cache.cache_clear()


def _is_base(kind: type) -> bool:
    return kind is object or kind.__module__.partition(".")[0] in ("torch", "typing", "abc")


def _caches_in(value: Any) -> "Iterator[_lru_cache_wrapper[Any]]":
    """A cache, however it is bound; and those that a function closes over."""
    if isinstance(value, staticmethod | classmethod | types.MethodType):
        value = value.__func__
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, _lru_cache_wrapper):
        yield value
    elif isinstance(value, types.FunctionType):
        for cell in value.__closure__ or ():
            try:
                held = cell.cell_contents
            except ValueError:  # a cell without content
                continue
            if isinstance(held, _lru_cache_wrapper):
                yield held
