"""Initializers by name, and by the expression that they print as."""

import ast
import inspect
import math
from collections.abc import Callable
from typing import Any

from fanin.errors import FaninError, suggestion
from fanin.initializers import _constant, _random, _scaling
from fanin.initializers._base import Initializer

_FACTORIES: dict[str, Callable[..., Initializer]] = {
    "zeros": _constant.zeros,
    "ones": _constant.ones,
    "constant": _constant.constant,
    "uniform": _random.uniform,
    "normal": _random.normal,
    "truncated_normal": _random.truncated_normal,
    "variance_scaling": _scaling.variance_scaling,
    **{name: row.__call__ for name, row in _scaling.PRESETS.items()},
}

_ALIASES = {"xavier": "glorot", "kaiming": "he"}


def names() -> tuple[str, ...]:
    """The names that `get` knows, aliases (xavier, kaiming) included."""
    aliases = (
        name.replace(own, alias, 1)
        for alias, own in _ALIASES.items()
        for name in _FACTORIES
        if name.startswith(f"{own}_")
    )
    return (*_FACTORIES, *aliases)


def get(spec: str | Initializer) -> Initializer:
    """The initializer of a name ("he_normal") or an expression ("uniform(-0.5, 0.5)").

    An Initializer is returned as it is. Arguments are literals, by position or keyword.

    >>> get("kaiming_normal")
    he_normal()
    >>> get("truncated_normal(std=0.02)")
    truncated_normal(0.0, 0.02, -2.0, 2.0)
    """
    if isinstance(spec, Initializer):
        return spec
    if not isinstance(spec, str):
        raise FaninError(
            f"initializer is {spec!r}; give a name, an expression such as "
            "'normal(std=0.02)', or an Initializer."
        )
    name, positional, keywords = _parse(spec)
    alias, _, rest = name.partition("_")
    factory = _FACTORIES.get(f"{_ALIASES[alias]}_{rest}" if alias in _ALIASES else name)
    if factory is None:
        raise FaninError(f"unknown initializer {name!r}{suggestion(name, names())}")
    try:
        inspect.signature(factory).bind(*positional, **keywords)
        return factory(*positional, **keywords)
    except FaninError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise FaninError(f"initializer {spec!r} cannot be made: {error}.") from None


def _parse(spec: str) -> tuple[str, list[Any], dict[str, Any]]:
    try:
        node = ast.parse(spec.strip(), mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, [], {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            positional = [_literal(argument) for argument in node.args]
            keywords = {str(item.arg): _literal(item.value) for item in node.keywords}
            if len(keywords) == len(node.keywords):
                return node.func.id, positional, keywords
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    raise FaninError(
        f"initializer {spec!r} is neither a name nor a call with literal arguments, such as "
        "'he_normal' or 'uniform(-0.5, 0.5)'."
    )


def _literal(node: ast.expr) -> Any:
    """A literal, or inf and -inf, as infinite bounds print."""
    match node:
        case ast.Name(id="inf"):
            return math.inf
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
            return -math.inf
        case _:
            return ast.literal_eval(node)
