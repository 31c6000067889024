"""Adapters: translate a framework's model into Params, and write values; never decide.

`torch`, `jax` and `keras` are looked up on first use, as each needs its framework.
"""

from importlib import import_module as _import_module
from typing import Any

from fanin.frameworks._adapter import Adapter as Adapter
from fanin.frameworks._adapter import Draw as Draw
from fanin.frameworks._adapter import Facts as Facts
from fanin.frameworks._adapter import Slot as Slot
from fanin.frameworks._adapter import Subject as Subject
from fanin.frameworks._adapter import Target as Target
from fanin.frameworks._adapter import Written as Written
from fanin.frameworks._buffers import BufferProof as BufferProof
from fanin.frameworks._building import FactoryModel as FactoryModel
from fanin.frameworks._building import build_empty as build_empty
from fanin.frameworks._building import build_model as build_model
from fanin.frameworks._building import take_apart as take_apart
from fanin.frameworks._detect import LIBRARIES as LIBRARIES
from fanin.frameworks._detect import adapter_for as adapter_for
from fanin.frameworks._detect import framework_of as framework_of
from fanin.frameworks._detect import functional as functional
from fanin.frameworks._detect import is_made_anew as is_made_anew
from fanin.frameworks._detect import open_model as open_model
from fanin.frameworks._detect import refuse_functional as refuse_functional
from fanin.frameworks._first_steps import OPTIMIZERS as OPTIMIZERS
from fanin.frameworks._first_steps import FirstSteps as FirstSteps
from fanin.frameworks._first_steps import RunAsked as RunAsked
from fanin.frameworks._first_steps import StepsAsked as StepsAsked
from fanin.frameworks._foreign import foreign as foreign
from fanin.frameworks._functional import Functional as Functional
from fanin.frameworks._mode import in_mode as in_mode
from fanin.frameworks._observation import Gate as Gate
from fanin.frameworks._observation import Gates as Gates
from fanin.frameworks._observation import GradientStats as GradientStats
from fanin.frameworks._observation import Look as Look
from fanin.frameworks._observation import Observation as Observation
from fanin.frameworks._observation import Outside as Outside
from fanin.frameworks._observation import PackedMatrix as PackedMatrix
from fanin.frameworks._observation import ParameterStats as ParameterStats
from fanin.frameworks._observation import Repeat as Repeat
from fanin.frameworks._observation import TargetsMet as TargetsMet
from fanin.frameworks._observation import TargetStats as TargetStats
from fanin.frameworks._stored import Stored as Stored

__all__ = ["jax", "keras", "torch"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return list(__all__)
