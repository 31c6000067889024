"""Which framework a model belongs to; only one that the user already imported can own it."""

import sys
from typing import Any

from fanin.errors import FaninError
from fanin.frameworks._adapter import Adapter
from fanin.frameworks._foreign import foreign


def adapter_for(model: Any) -> Adapter:
    """The adapter module of the framework that `model` belongs to."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from fanin.frameworks import torch as adapter

        return adapter
    hint = foreign(model)
    if isinstance(model, type):
        hint = "It is a class: call it, and pass what it makes."
    told = f"model has type {type(model).__name__}; it must be a torch.nn.Module."
    raise FaninError(f"{told} {hint}".rstrip())


def adapter_of_factories() -> Adapter:
    """The adapter of functions that make a model, which do not show whose it will be."""
    from fanin.frameworks import torch as adapter

    return adapter
