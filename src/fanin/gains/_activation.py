"""An activation function, whatever the user wrote for it: a name, an expression, a callable."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from fanin._expression import parse_expression
from fanin.errors import FaninError, as_number, quote, suggestion
from fanin.gains import _callables
from fanin.gains._table import MIXING, REFUSED, ROWS
from fanin.streams import Array

ActivationLike = str | Callable[..., Any]
_EXAMPLE = "'gelu' or 'leaky_relu(0.2)'"


@dataclass(frozen=True, slots=True, eq=False)
class Activation:
    """A function of one number, evaluated on float64 arrays of any shape.

    `derivative` is None where only values are known; `kinks` are the places that are known not
    to be smooth.
    """

    name: str
    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array] | None
    kinks: tuple[float, ...] = ()

    def __call__(self, x: Array) -> Array:
        return self._finite(self.function, self.name, x)

    def slope(self, x: Array) -> Array:
        """The derivative; only where there is one."""
        assert self.derivative
        return self._finite(self.derivative, f"the derivative of {self.name}", x)

    def _finite(self, function: Callable[[Array], Array], what: str, x: Array) -> Array:
        with np.errstate(all="ignore"):
            values = np.asarray(function(x), dtype=float)
        bad = ~np.isfinite(values)
        if bad.any():
            where = np.abs(x[bad]).argmin()
            raise FaninError(
                f"{what} is {values[bad][where]} at {x[bad][where]:.6g}; a gain needs a function "
                "that is finite wherever its input can be."
            )
        return values


def as_activation(f: ActivationLike) -> Activation:
    """The activation of a name, an expression, or a callable of NumPy, JAX or torch."""
    if isinstance(f, str):
        return _parse(f)
    if inspect.isclass(f):
        raise FaninError(
            f"activation is the class {f.__name__}; give an instance, such as {f.__name__}()."
        )
    if not callable(f):
        raise FaninError(
            f"activation is {quote(f)}; give a name, such as {_EXAMPLE}, or a function."
        )
    name = _name_of(f)
    _refuse(name, MIXING)
    return Activation(name, *_callables.adapt(f, name))


def names() -> tuple[str, ...]:
    """The names that have a gain, aliases included; some need parameters, "threshold(1, 0)"."""
    return tuple(ROWS)


@lru_cache(maxsize=256)
def _parse(text: str) -> Activation:
    name, positional, keywords = parse_expression(text, "activation", _EXAMPLE)
    _refuse(name, REFUSED)
    row = ROWS.get(name)
    if row is None:
        raise FaninError(f"unknown activation {name!r}{suggestion(name, names())}")
    try:
        bound = inspect.signature(row.function).bind(None, *positional, **keywords)
    except (TypeError, ValueError) as error:
        raise FaninError(f"activation {quote(text)} cannot be made: {error}.") from None
    given = list(bound.arguments.values())[1:]
    values = [as_number(value) for value in given]
    if not np.isfinite(values).all():
        raise FaninError(f"activation {quote(text)} cannot be made: parameters are finite numbers.")
    parameters = dict(zip(list(bound.arguments)[1:], values, strict=True))
    return Activation(
        f"{row.name}({', '.join(map(repr, values))})" if values else row.name,
        lambda x: row.function(x, **parameters),
        lambda x: row.derivative(x, **parameters),
        row.kinks(**parameters) if callable(row.kinks) else row.kinks,
    )


def _refuse(name: str, reasons: dict[str, str]) -> None:
    reason = reasons.get(name.lower())
    if reason:
        raise FaninError(f"{name} has no gain: {reason}.")


def _name_of(f: Any) -> str:
    name = getattr(f, "__name__", type(f).__name__)
    return "this function" if name == "<lambda>" else str(name)
