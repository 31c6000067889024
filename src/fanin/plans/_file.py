"""Plans on disk: TOML that people can read and compare."""

import json
import os
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fanin._replacing import replacing
from fanin.axes import Axes
from fanin.errors import FaninError
from fanin.initializers import get
from fanin.plans._row import Row

_FORMAT = 1  # of the file
_STREAM = 1  # version of the streams that the values come from

Contents = tuple[str, tuple[Row, ...], tuple[str, ...], int | None]


def write(
    recipe: str,
    rows: Iterable[Row],
    notes: Iterable[str],
    seed: int | None,
    path: str | os.PathLike[str],
) -> Path:
    """Write by a temporary name in the same folder, then rename."""
    path = _checked(path)
    head: dict[str, Any] = {"format": _FORMAT, "stream": _STREAM, "recipe": recipe}
    head["notes"] = list(notes)
    if seed is not None:
        head["seed"] = str(seed)  # TOML's integers end at 2**63
    text = "\n".join(_lines(head, rows)) + "\n"
    try:
        with replacing([path]) as (temporary,):
            temporary.write_text(text, "utf-8")
    except OSError as error:
        raise FaninError(f"cannot write the plan {str(path)!r}: {error.strerror}.") from None
    return path


def _checked(path: str | os.PathLike[str]) -> Path:
    try:
        found = Path(path)
    except TypeError:
        raise FaninError(f"path is {path!r}; give the name of a file, as text or a Path.") from None
    if "\0" in str(found):
        raise FaninError(f"path is {path!r}; the name of a file holds no NUL.")
    return found


def _lines(head: dict[str, Any], rows: Iterable[Row]) -> Iterator[str]:
    yield from (f"{key} = {_value(value)}" for key, value in head.items())
    for row in rows:
        yield ""
        yield "[[parameter]]"
        yield from (f"{key} = {_value(value)}" for key, value in _row_to_dict(row).items())


def _value(value: Any) -> str:
    # What JSON writes of strings, numbers and lists of them is TOML, too, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _row_to_dict(row: Row) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": row.name,
        "shape": list(row.shape),
        "dtype": row.dtype,
        "role": row.role,
        # In full: arrays print short.
        "initializer": "kept" if row.initializer is None else row.initializer._expression(),
        "axes": str(row.axes),
        "why": row.why,
    }
    optional: dict[str, tuple[Any, Any]] = {
        "groups": (row.axes.groups, 1),
        "transposed": (row.axes.transposed, False),
        "stride": (row.axes.stride, 1),
        "blocks": (row.axes.blocks, ()),
        "aliases": (row.aliases, ()),
        "output": (row.output, None),
        "kept": (row.kept, None),
        "lr": (row.lr, 1.0),
        "averaged": (row.averaged, False),
    }
    return fields | {key: value for key, (value, default) in optional.items() if value != default}


def read(path: str | os.PathLike[str]) -> Contents:
    """The contents of a file that `write` wrote."""
    path = _checked(path)
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FaninError(f"cannot read the plan {str(path)!r}: {error.strerror}.") from None
    except ValueError as error:  # also what is no UTF-8
        raise FaninError(f"{str(path)!r} is not a plan: {error}.") from None
    for key, known in (("format", _FORMAT), ("stream", _STREAM)):
        if data.get(key) != known:
            raise FaninError(
                f"{str(path)!r} has {key} {data.get(key)!r}; this fanin reads {key} {known}."
            )
    try:
        rows = tuple(_row_from_dict(fields) for fields in data.get("parameter", []))
        for name, count in Counter(row.name for row in rows).items():
            if count > 1:
                raise FaninError(f"parameter {name} has {count} rows; leave one.")
        seed = int(data["seed"]) if "seed" in data else None
        return str(data["recipe"]), rows, tuple(map(str, data.get("notes", []))), seed
    except FaninError as error:
        raise FaninError(f"{str(path)!r} is not a plan: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise FaninError(f"{str(path)!r} is not a plan: {error!r}.") from None


def _row_from_dict(fields: dict[str, Any]) -> Row:
    stride = fields.get("stride", 1)
    axes = Axes(
        tuple(fields["axes"].split()),
        fields.get("groups", 1),
        fields.get("transposed", False),
        tuple(stride) if isinstance(stride, list) else stride,
        tuple(fields.get("blocks", ())),
    )
    spec = fields["initializer"]
    return Row(
        name=fields["name"],
        shape=tuple(map(int, fields["shape"])),
        dtype=fields["dtype"],
        role=fields["role"],
        initializer=None if spec == "kept" else get(spec),
        axes=axes,
        why=fields["why"],
        aliases=tuple(fields.get("aliases", ())),
        output=fields.get("output"),
        kept=fields.get("kept"),
        lr=float(fields.get("lr", 1.0)),
        averaged=bool(fields.get("averaged", False)),
    )
