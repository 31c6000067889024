"""Which framework a model belongs to; only one that the user already imported can own it."""

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from fanin.errors import FaninError

_JAX = "fanin.frameworks.jax.initializer('he_normal')"
_KERAS = "fanin.frameworks.keras.initializer('he_normal', seed=0, name='dense.weight')"

# What a user of another library can do, by the package of the model's class.
_ELSEWHERE = {
    "flax": f"Give Flax layers initializers, such as kernel_init={_JAX}.",
    "haiku": f"Give Haiku layers initializers, such as w_init={_JAX}.",
    "equinox": f"Draw its arrays by {_JAX}(key, shape) and put them in by equinox.tree_at.",
    "jax": f"Draw its arrays by {_JAX}(key, shape).",
    "jaxlib": f"Draw its arrays by {_JAX}(key, shape).",
    "keras": f"Give Keras layers initializers, such as kernel_initializer={_KERAS}.",
    "tensorflow": f"Give Keras layers initializers, such as kernel_initializer={_KERAS}.",
}


def adapter_for(model: Any) -> ModuleType:
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


def foreign(model: Any) -> str:
    """What to do with a model, or a tree of arrays, of another library; "" if it is of none."""
    if isinstance(model, Mapping):
        return next((hint for hint in map(foreign, model.values()) if hint), "")
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _ELSEWHERE:
            return _ELSEWHERE[package]
    return ""
