"""An activation function, whatever the user wrote for it: a name, an expression, a callable."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
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
    """The names that have a gain, aliases included; some need parameters, "threshold(1, 0)".

    Those that users `register` are not among them.
    """
    return tuple(ROWS)


def register(name: str, f: Callable[..., Any]) -> None:
    """Let gains know an activation of your own by a name, in this process.

    Args:
        name: an identifier that no activation has.
        f: a function of one array of NumPy, JAX or torch, element by element.

    `gain(name)`, `nonlinearity=name` of initializers and the theory of depth then take the name,
    without parameters. The same function may be registered again. Raises FaninError for a name
    that is taken or no identifier, and for what has no gain.

    >>> import numpy as np
    >>> from fanin.gains import gain
    >>> def snake(x):
    ...     return x + np.sin(x) ** 2
    >>> register("snake", snake)
    >>> round(gain("snake"), 4) == round(gain(snake), 4)
    True
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise FaninError(f"name is {quote(name)}; register takes an identifier, such as 'snake'.")
    known = _REGISTERED.get(name)
    if known is not None and known[0] is f:
        return
    if name in (*ROWS, *_REGISTERED) or name.lower() in REFUSED:
        raise FaninError(f"name {name!r} is taken, as an activation; register another one.")
    if isinstance(f, str):
        raise FaninError(f"f is {quote(f)}; give a function of one array.")
    _REGISTERED[name] = f, replace(as_activation(f), name=name)


_REGISTERED: dict[str, tuple[Callable[..., Any], Activation]] = {}


@lru_cache(maxsize=256)
def _parse(text: str) -> Activation:
    name, positional, keywords = parse_expression(text, "activation", _EXAMPLE)
    _refuse(name, REFUSED)
    if name in _REGISTERED:
        if positional or keywords:
            raise FaninError(f"activation {name} was registered without parameters.")
        return _REGISTERED[name][1]
    row = ROWS.get(name)
    if row is None:
        raise FaninError(f"unknown activation {name!r}{suggestion(name, (*ROWS, *_REGISTERED))}")
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
