"""The gains of all named activations, as rows of a table."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

from fanin import _html
from fanin.errors import FaninError
from fanin.gains._gain import gain
from fanin.gains._table import ROWS
from fanin.gains._torch_table import torch_gain


class GainRow(NamedTuple):
    """One named activation; gains are None where there is none without parameters."""

    name: str
    aliases: tuple[str, ...]
    parameters: str
    forward: float | None
    backward: float | None
    torch: float | None


class GainTable(tuple[GainRow, ...]):
    """The rows of all named activations; a notebook shows them as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        title = _html.paragraph("", "gains at mean 0 and variance 1")
        shown = _html.table(HEADERS, [*map(row_cells, self)], NUMBERS)
        return _html.join_parts([title, shown])


HEADERS = ("activation", "parameters", "forward", "backward", "torch's")
NUMBERS = range(2, 5)  # columns


def row_cells(row: GainRow) -> tuple[str, ...]:
    """A row as people read it."""
    numbers = (row.forward, row.backward, row.torch)
    told = ("-" if number is None else f"{number:.6g}" for number in numbers)
    return (", ".join((row.name, *row.aliases)), row.parameters, *told)


def table() -> GainTable:
    """Each named activation with its gains at mean 0 and variance 1, and torch's constant.

    Returns a tuple of GainRow, which a notebook shows as a table.

    >>> row = table()[1]
    >>> row.name, round(row.forward, 4), round(row.backward, 4)
    ('relu', 1.4142, 1.4142)
    """
    rows = {row.name: row for row in ROWS.values()}.values()
    return GainTable(
        GainRow(row.name, row.aliases, _parameters(row.function), *_gains((row.name, *row.aliases)))
        for row in rows
    )


def _parameters(function: Callable[..., object]) -> str:
    """How its parameters are written: "negative_slope=0.01", or "" without any."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return ", ".join(
        parameter.name
        if parameter.default is parameter.empty
        else f"{parameter.name}={parameter.default:g}"
        for parameter in parameters
    )


def _gains(names: tuple[str, ...]) -> tuple[float | None, float | None, float | None]:
    try:
        both = gain(names[0]), gain(names[0], "backward")
    except FaninError:  # it needs parameters
        return None, None, None
    return *both, next((constant for constant in map(torch_constant, names) if constant), None)


def torch_constant(name: str) -> float | None:
    """torch's gain of a name or an expression, None where it has none."""
    try:
        return torch_gain(name)
    except FaninError:
        return None
