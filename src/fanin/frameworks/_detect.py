"""Which framework a model belongs to; only one that the user already imported can own it."""

import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from fanin.errors import FaninError
from fanin.frameworks._adapter import Adapter
from fanin.frameworks._foreign import foreign


class Framework(NamedTuple):
    """A framework's class of models, by its path in the package, and what loads its adapter."""

    model: str
    adapter: Callable[[], Adapter]


def _torch() -> Adapter:
    from fanin.frameworks import torch as adapter

    return adapter


# By the name of the package that has the class.
FRAMEWORKS: dict[str, Framework] = {"torch": Framework("nn.Module", _torch)}


def adapter_for(model: Any) -> Adapter:
    """The adapter of the framework that `model` belongs to."""
    for package, framework in FRAMEWORKS.items():
        module = sys.modules.get(package)
        if module is not None and isinstance(model, attrgetter(framework.model)(module)):
            return framework.adapter()
    hint = foreign(model)
    if isinstance(model, type):
        hint = "It is a class: call it, and pass what it makes."
    told = f"model has type {type(model).__name__}; it must be a torch.nn.Module."
    raise FaninError(f"{told} {hint}".rstrip())


def adapter_of_factories() -> Adapter:
    """The adapter of functions that make a model, which do not show whose it will be."""
    return _torch()
