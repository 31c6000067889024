"""Expressions that users write for an object: a name, or a call with literal arguments."""

import ast
import math
from collections.abc import Callable
from typing import Any

from fanin.errors import FaninError


def parse_expression(
    text: str, what: str, example: str, nested: Callable[[str], Any] | None = None
) -> tuple[str, list[Any], dict[str, Any]]:
    """The name, the positional and the keyword arguments of "name" or "name(0.2, key=1)".

    `what` and `example` tell the reader of an error what the text should have been. `nested`
    makes the object of a call among the arguments; without it there may be none.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, [], {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            positional = [_value(argument, nested) for argument in node.args]
            keywords = {str(item.arg): _value(item.value, nested) for item in node.keywords}
            if len(keywords) == len(node.keywords):
                return node.func.id, positional, keywords
    except FaninError:  # of a nested one
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    raise FaninError(
        f"{what} {text!r} is neither a name nor a call with literal arguments, such as {example}."
    )


def _value(node: ast.expr, nested: Callable[[str], Any] | None) -> Any:
    if nested and isinstance(node, ast.Call):
        return nested(ast.unparse(node))
    return _literal(node)


def _literal(node: ast.expr) -> Any:
    """A literal, or inf and -inf, as infinite bounds print."""
    match node:
        case ast.Name(id="inf"):
            return math.inf
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id="inf")):
            return -math.inf
        case ast.Tuple(elts=elements):
            return tuple(map(_literal, elements))
        case ast.List(elts=elements):
            return list(map(_literal, elements))
        case _:
            return ast.literal_eval(node)
