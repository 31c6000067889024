"""Resized: tables of which some rows alone are drawn, beside those that a checkpoint brought."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fanin.errors import FaninError, quote, suggestion
from fanin.frameworks import Target
from fanin.initializers import Elementwise, Initializer
from fanin.initializers._constant import Given
from fanin.initializers._present import PresentRows
from fanin.param import Param
from fanin.plans._row import Row, row_axis
from fanin.plans._selection import Selection, find_held, hold, name_aliases

# Rows by a parameter's name; or a plan of the smaller model, whose tables have grown since.
RowSelection = Mapping[str, slice] | Mapping[str, Row]


def find_resized(target: Target, rows: RowSelection | None) -> dict[str, slice]:
    """The rows to draw, by canonical name; FaninError where a name or a slice means none."""
    if rows is None:
        return {}
    if not isinstance(rows, Mapping):
        raise FaninError(
            f"rows is {quote(rows)}; give {{'emb.weight': slice(50257, 50304)}}, or a plan of the "
            "model before it was resized."
        )
    before = {name: row for name, row in rows.items() if isinstance(row, Row)}
    if before:
        return _find_grown(target, before)
    aliases = name_aliases(target)
    found = {}
    for name, item in rows.items():
        own = aliases.get(name, name)
        if own not in target.slots:
            raise FaninError(f"rows has {name!r}{suggestion(str(name), [*target.slots])}")
        if not isinstance(item, slice) or item.step not in (None, 1):
            raise FaninError(
                f"rows[{name!r}] is {quote(item)}; give a slice without steps, such as "
                "slice(50257, 50304)."
            )
        found[own] = item
    if not found:
        raise FaninError("rows selects no parameter; leave it out, or name a table.")
    return found


def _find_grown(target: Target, before: Mapping[str, Row]) -> dict[str, slice]:
    found = {}
    for name, slot in target.slots.items():
        if name in before and before[name].shape != slot.param.shape:
            found[name] = _grown(before[name], slot.param)
    if not found:
        raise FaninError(
            "rows is a plan of which no parameter has another shape here, so there are no new "
            "rows. Give the plan of the model before it was resized, or only= to draw whole "
            "parameters."
        )
    return found


def _grown(row: Row, param: Param) -> slice:
    """What a parameter has more than it had; FaninError where that is no rows."""
    pairs = enumerate(zip(row.shape, param.shape, strict=False))
    axes = [axis for axis, (old, new) in pairs if old != new]
    rows_only = len(row.shape) == len(param.shape) and axes == [row_axis(param.shape, row.axes)]
    if not rows_only or row.shape[axes[0]] > param.shape[axes[0]]:
        raise FaninError(
            f"{param.name} has shape {param.shape}, and {row.shape} in the plan that rows= gives: "
            "more rows are all that it may have. Name the tables, "
            f"rows={{{param.name!r}: slice(...)}}, or draw it whole with only=."
        )
    return slice(row.shape[axes[0]], None)


def resize(row: Row, rows: slice) -> Row:
    """The row, drawn in these rows alone; FaninError where there are none, or it cannot be."""
    count = row.shape[row_axis(row.shape, row.axes)] if row.shape else 0
    try:
        first, end, _ = rows.indices(count)
    except TypeError:
        raise FaninError(f"rows[{row.name!r}] is {quote(rows)}; its ends are integers.") from None
    beyond = any(abs(bound) > count for bound in (rows.start, rows.stop) if bound is not None)
    if first >= end or beyond:
        raise FaninError(
            f"rows[{row.name!r}] is {quote(rows)}; {row.name} of shape {row.shape} has {count} "
            f"rows. {'Resize the table first, and name' if beyond else 'Name'} rows that it has."
        )
    resized = replace(row, drawn_rows=(first, end), kept_sha256=None)
    check_rows(resized)
    return resized


def take_part(
    made: Sequence[Row],
    target: Target,
    only: Selection | None,
    keep: Selection | None,
    rows: RowSelection | None,
) -> tuple[Row, ...]:
    """The rows of a plan for a part of the model: what is not selected keeps what it has."""
    resized = find_resized(target, rows)
    held = find_held(target, only, keep, dict.fromkeys(resized, "rows="))
    return tuple(
        resize(row, resized[row.name]) if row.name in resized else row for row in hold(made, held)
    )


def check_rows(row: Row) -> None:
    """FaninError where some rows of a parameter cannot be drawn alone."""
    assert row.drawn_rows is not None
    count = row.shape[row_axis(row.shape, row.axes)] if row.shape else 0
    if len(row.drawn_rows) != 2 or not row.drawn_rows[0] < row.drawn_rows[1] <= count:
        raise FaninError(
            f"rows is {[*row.drawn_rows]}; it is the first and the end of some of the {count} rows "
            f"of {row.name}, whose shape is {row.shape}."
        )
    where = f"rows of {row.name} {row.shape}"
    if row.initializer is None:
        raise FaninError(
            f"{where} are to be drawn, and the plan keeps it ({row.why}). Say how: "
            f"overrides={{{row.name!r}: 'normal(std=0.02)'}}."
        )
    if not isinstance(row.initializer, Elementwise | Given | PresentRows):
        raise FaninError(
            f"{where} are to be drawn by {row.initializer}, whose values depend on each other. "
            f"Pass overrides={{{row.name!r}: 'normal(std=0.02)'}}, say, or 'present_rows()'."
        )
    if row.axes.blocks or row.axes.groups > 1:
        raise FaninError(
            f"{where} are to be drawn, and it packs several maps, whose rows move when it grows. "
            "Draw it whole, with only=."
        )


def refuse_present(name: str, initializer: Initializer) -> None:
    """FaninError where something is to be as rows that stay, and none do."""
    if isinstance(initializer, PresentRows):
        raise FaninError(
            f"{name} is {initializer}, which draws new rows as those that a table has. Say which "
            "are new: rows={'emb.weight': slice(50257, 50304)}, and overrides= for these."
        )
