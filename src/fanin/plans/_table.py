"""The printed form of a plan: rows that differ in a layer's number alone are one line."""

import re
from collections.abc import Iterable, Sequence

from fanin import _html
from fanin._columns import align
from fanin.plans._row import Row

_HEADER = ("parameter", "shape", "role", "initializer", "std", "fan_in", "fan_out", "why")
_NUMBERS = (4, 5, 6)  # columns


def table(
    recipe: str, rows: Sequence[Row], notes: Iterable[str], seed: int | None, prefix: str
) -> str:
    """A plan as aligned text."""
    lines = [_title(recipe, rows, seed, prefix), *(f"note: {note}" for note in notes), ""]
    return "\n".join([*lines, *align([_HEADER, *map(_cells, _group(rows))])])


def html_table(
    recipe: str, rows: Sequence[Row], notes: Iterable[str], seed: int | None, prefix: str
) -> str:
    """The same for notebooks."""
    return _html.join_parts(
        [
            _html.paragraph("", _title(recipe, rows, seed, prefix)),
            *(_html.paragraph(note, "note:") for note in notes),
            _html.table(_HEADER, [*map(_cells, _group(rows))], _NUMBERS),
        ]
    )


def _title(recipe: str, rows: Sequence[Row], seed: int | None, prefix: str) -> str:
    applied = "" if seed is None else f", applied with seed {seed}"
    under = f", names drawn under {prefix!r}" if prefix else ""
    return f"plan: recipe {recipe}, {len(rows)} parameters{applied}{under}"


def _group(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows that say the same of the same parameter in several layers, by first appearance."""
    groups: dict[object, list[Row]] = {}
    for row in rows:
        pattern = re.sub(r"\d+", "#", row.name)
        said = (row.shape, row.dtype, row.role, row.describe(), row.axes, row.why, row.aliases)
        groups.setdefault((pattern, *said), []).append(row)
    return list(groups.values())


def _cells(rows: list[Row]) -> tuple[str, ...]:
    row = rows[0]
    fans = row.fans
    return (
        _name([row.name for row in rows]),
        "x".join(map(str, row.shape)) or "scalar",
        row.role,
        row.describe(),
        "" if row.std is None else f"{row.std:.4g}",
        "" if fans is None else f"{fans.fan_in:g}",
        "" if fans is None else f"{fans.fan_out:g}",
        row.why + (f"; also {', '.join(row.aliases)}" if row.aliases else ""),
    )


def _name(names: Sequence[str]) -> str:
    """One name for those that differ in numbers alone: block.{0..11}.weight, {0..58:2}.bias."""
    split = [re.split(r"(\d+)", name) for name in names]
    parts = []
    for column in zip(*split, strict=True):
        numbers = list(dict.fromkeys(column))
        if len(numbers) == 1:
            parts.append(numbers[0])
            continue
        values = sorted(map(int, numbers))
        first, last, step = values[0], values[-1], values[1] - values[0]
        if len(values) > 2 and values == list(range(first, last + 1, step or 1)):
            parts.append(f"{{{first}..{last}{f':{step}' if step > 1 else ''}}}")
        else:
            parts.append(f"{{{','.join(map(str, values))}}}")
    return "".join(parts)
