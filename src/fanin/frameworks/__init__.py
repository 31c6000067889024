"""Adapters: translate a framework's model into Params, and write values; never decide.

`torch`, `jax` and `keras` are looked up on first use, as each needs its framework.
"""

from importlib import import_module as _import_module
from typing import Any

from fanin.frameworks._detect import adapter_for as adapter_for
from fanin.frameworks._foreign import foreign as foreign

__all__ = ["jax", "keras", "torch"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return list(__all__)
