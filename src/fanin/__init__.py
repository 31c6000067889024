"""fanin: weight initialization for neural networks that people can trust."""

import typing as _typing
from importlib import import_module as _import_module

# First, and from here: imported from deep inside the package, NumPy takes 13 ms longer (measured
# by bench/speed/calls.py; the cause is not known).
import numpy as _numpy  # noqa: F401

from fanin import initializers as initializers
from fanin._check import check as check
from fanin._empty import empty_weights as empty_weights
from fanin._fans import Fans as Fans
from fanin._fans import fans as fans
from fanin.errors import FaninError as FaninError
from fanin.errors import FaninWarning as FaninWarning
from fanin.gains import gain as gain
from fanin.plans import Plan as Plan
from fanin.plans import initialize as initialize
from fanin.plans import initialize_params as initialize_params
from fanin.plans import plan as plan
from fanin.streams import Stream as Stream

__version__ = "0.2.0"

# Submodules that `import fanin` alone does not need: they are looked up on first use.
_LAZY = ("checks", "frameworks", "lab", "testing")

__all__ = [
    *("FaninError", "FaninWarning", "Fans", "Plan", "Stream"),
    *("check", "empty_weights", "fans", "gain", "initialize", "initialize_params", "plan"),
    *("checks", "frameworks", "gains", "initializers", "lab", "recipes", "streams"),
    "testing",
]


if not _typing.TYPE_CHECKING:  # which would take any name for one of this package

    def __getattr__(name: str) -> object:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return _import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
