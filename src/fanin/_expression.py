"""Expressions that users write for an object: a name, or a call with literals and arithmetic."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from fanin.errors import FaninError, quote

_CONSTANTS = {"inf": math.inf, "pi": math.pi}
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt,
    "log": math.log,
    "min": min,
    "max": max,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def parse_expression(
    text: str, what: str, example: str, nested: Callable[[str], Any] | None = None
) -> tuple[str, list[Any], dict[str, Any]]:
    """The name, the positional and the keyword arguments of "name" or "name(0.2, key=1 / 3)".

    Arguments are literals, and what + - * / **, sqrt, log, min, max and pi make of numbers. `what`
    and `example` tell the reader of an error what the text should have been. `nested` makes the
    object of another call among the arguments; without it there may be none.
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
    except ArithmeticError as error:
        raise FaninError(f"{what} {quote(text)} cannot be computed: {error.args[-1]}.") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    raise FaninError(
        f"{what} {quote(text)} is neither a name nor a call with literal arguments, such as "
        f"{example}. Numbers may be computed by + - * / **, sqrt, log, min, max and pi."
    )


def _value(node: ast.expr, nested: Callable[[str], Any] | None) -> Any:
    if nested and isinstance(node, ast.Call) and not _is_function(node):
        return nested(ast.unparse(node))
    match node:
        case ast.Tuple(elts=elements):
            return tuple(_value(element, None) for element in elements)
        case ast.List(elts=elements):
            return [_value(element, None) for element in elements]
        case ast.BinOp() | ast.UnaryOp() | ast.Call() | ast.Name() | ast.Attribute():
            return _number(node)
        case _:
            return ast.literal_eval(node)


def _number(node: ast.expr) -> int | float:
    """The number that arithmetic comes to; ValueError for what is none."""
    found: Any = None
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            found = value
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            found = _UNARY[type(sign)](_number(operand))
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            found = _power(_number(left), _number(right))
        case ast.BinOp(left=left, op=step, right=right) if type(step) in _BINARY:
            found = _BINARY[type(step)](_number(left), _number(right))
        case ast.Call(args=arguments, keywords=[]) if _is_function(node):
            found = _call(_FUNCTIONS[_plain(node.func)], [_number(item) for item in arguments])
        case ast.Name() | ast.Attribute():
            found = _CONSTANTS.get(_plain(node))
    if found is None or isinstance(found, complex):
        raise ValueError(ast.unparse(node))
    number: int | float = found
    return number


def _power(base: int | float, exponent: int | float) -> Any:
    """base ** exponent; of whole numbers only where the result stays small, else in floats."""
    small = abs(base) < 2**64 and 0 <= exponent <= 64
    return base**exponent if small else float(base) ** float(exponent)


def _call(function: Callable[..., Any], numbers: list[int | float]) -> Any:
    try:
        return function(*numbers)
    except TypeError as error:  # too few of them, or too many
        raise ValueError(*error.args) from None


def _is_function(node: ast.Call) -> bool:
    return _plain(node.func) in _FUNCTIONS


def _plain(node: ast.expr) -> str:
    """A name without the module of mathematics before it: sqrt of math.sqrt."""
    match node:
        case (
            ast.Name(id=name) | ast.Attribute(value=ast.Name(id="math" | "np" | "numpy"), attr=name)
        ):
            return name
    return ""
