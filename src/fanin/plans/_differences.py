"""Differences: what tells a plan from another one, or from a model, line by line."""

from collections.abc import Iterable, Iterator, Sequence

from fanin.errors import FaninError
from fanin.frameworks import Target
from fanin.plans._laid import lay_out
from fanin.plans._matching import alike
from fanin.plans._row import Row


def differences_from(rows: Sequence[Row], library: str, target: Target) -> Iterator[str]:
    """What is in the plan or in the model alone, and parameters of another shape."""
    params = {name: slot.param for name, slot in target.slots.items()}
    mine = {row.name: row for row in rows}
    yield from (f"- {name}: not in the model" for name in mine if name not in params)
    yield from (f"+ {name}: not in the plan" for name in params if name not in mine)
    for name, param in params.items():
        try:
            if name in mine:
                lay_out(mine[name], param, alike(library, target))
        except FaninError:
            yield f"! {name}: shape {mine[name].shape} in the plan, {param.shape} in the model"


def differences(mine: Iterable[Row], theirs: Iterable[Row]) -> tuple[str, ...]:
    ours, others = ({row.name: row for row in rows} for rows in (mine, theirs))
    lines = [f"- {row}" for name, row in ours.items() if name not in others]
    lines += [f"+ {row}" for name, row in others.items() if name not in ours]
    for name, row in ours.items():
        if name in others and not row.draws_as(others[name]):
            lines += [f"- {_tell(row, others[name])}", f"+ {_tell(others[name], row)}"]
    return tuple(lines)


def _tell(row: Row, other: Row) -> str:
    """A row, with what tells it from another one of the same text."""
    if str(row) != str(other):
        return str(row)
    if row.kept_sha256 != other.kept_sha256:
        known = row.kept_sha256
        return f"{row}, {'unknown values' if known is None else f'sha256 {known[:12]}'}"
    return f"{row}, axes {row.axes}"
