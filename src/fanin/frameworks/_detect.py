"""Which framework a model belongs to; only one that the user already imported can own it."""

import sys
from types import ModuleType
from typing import Any

from fanin.errors import FaninError


def adapter_for(model: Any) -> ModuleType:
    """The adapter module of the framework that `model` belongs to."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        from fanin.frameworks import torch as adapter

        return adapter
    raise FaninError(f"model has type {type(model).__name__}; it must be a torch.nn.Module.")
