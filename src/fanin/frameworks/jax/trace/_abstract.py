"""Abstract: shapes of a program's variables, values of its constants, and its equations' names."""

import math
from collections.abc import Collection
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from fanin.frameworks.jax.record._call import AbstractArray
from fanin.frameworks.jax.record._values import LARGEST
from fanin.frameworks.recording._record import ConstantTensor


def abstract_of(variable: Any) -> AbstractArray:
    """The shape and the kind of numbers of a variable."""
    aval = variable.aval
    dtype = getattr(aval, "dtype", None)
    few = getattr(dtype, "itemsize", 4) < 4
    return AbstractArray(tuple(getattr(aval, "shape", ())), _kind(dtype), few)


@cache
def _kind(dtype: Any) -> str:
    if dtype is None:
        return "k"
    for kind, own in (("f", np.floating), ("c", np.complexfloating), ("b", np.bool_)):
        if jnp.issubdtype(dtype, own):
            return kind
    return "i" if jnp.issubdtype(dtype, np.integer) else "k"


def constant_of(value: Any, name: str = "constant") -> ConstantTensor:
    """A constant with the values of an array; without, where it has none or too many."""
    return ConstantTensor(read_value(value), name=name)


def read_value(value: Any) -> Any:
    """The values of an array; None where it has none, or more than are kept, or is of keys."""
    if isinstance(value, (bool, int, float, complex)):
        return np.asarray(value)
    if isinstance(value, jax.ShapeDtypeStruct) or not hasattr(value, "shape"):
        return None
    if _kind(value.dtype) == "k" or math.prod(value.shape) > LARGEST:
        return None
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        return None
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def program_of(equation: JaxprEqn) -> ClosedJaxpr | None:
    """The program that an equation calls once; None where it calls none."""
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        found = equation.params.get(name)
        if isinstance(found, ClosedJaxpr):
            return found
        if isinstance(found, Jaxpr):
            return ClosedJaxpr(found, ())
    return None


def name_of(equation: JaxprEqn, program: ClosedJaxpr) -> str:
    """What the function that an equation calls is called."""
    name = equation.params.get("name")
    if name is None:
        name = getattr(program.jaxpr.debug_info, "func_name", "")
    return str(name)


def path_of(equation: JaxprEqn, modules: Collection[str]) -> str | None:
    """The module in whose scope an equation was made; None where no scope is one."""
    parts = [part for part in str(equation.source_info.name_stack).split("/") if part]
    for start in range(len(parts)):
        for end in range(len(parts), start, -1):
            path = ".".join(parts[start:end])
            if path in modules:
                return path
    return None
