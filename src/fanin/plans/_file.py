"""Plans on disk: TOML that people can read and compare."""

import json
import os
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fanin._arguments import check_shape
from fanin._replacing import replacing
from fanin.axes import Axes, parse_axes
from fanin.errors import FaninError, one_line, quote
from fanin.initializers import Initializer, get
from fanin.initializers._registry import UnknownInitializerError
from fanin.plans import _fields as kinds
from fanin.plans._fields import Fields, lines_of
from fanin.plans._resized import check_rows
from fanin.plans._row import Row

_FORMAT = 1  # of the file
_STREAM = 1  # version of the streams that the values come from

Contents = tuple[str, tuple[Row, ...], tuple[str, ...], int | None, str, str]
_ROWS = "parameter"  # the key of the tables


def to_dict(
    recipe: str,
    rows: Iterable[Row],
    notes: Iterable[str],
    seed: int | None,
    prefix: str,
    library: str,
) -> dict[str, Any]:
    """What the file says, as JSON would hold it: the head, and a dict for each row."""
    head: dict[str, Any] = {"format": _FORMAT, "stream": _STREAM, "recipe": recipe}
    head["notes"] = list(notes)
    if seed is not None:
        head["seed"] = str(seed)  # TOML's integers end at 2**63
    if prefix:
        head["prefix"] = prefix
    if library:
        head["library"] = library
    return head | {_ROWS: [_row_to_dict(row) for row in rows]}


def to_toml(contents: dict[str, Any]) -> str:
    """The file's text, of what `to_dict` made."""
    return "\n".join(_lines(contents)) + "\n"


def write(contents: dict[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write by a temporary name in the same folder, then rename."""
    path = _check(path)
    text = to_toml(contents)
    try:
        with replacing([path]) as (temporary,):
            temporary.write_text(text, "utf-8")
    except (OSError, ValueError) as error:  # a name that no file can have
        raise FaninError(f"cannot write the plan {str(path)!r}: {one_line(error)}.") from None
    return path


def _check(path: str | os.PathLike[str]) -> Path:
    try:
        found = Path(path)
    except TypeError:
        raise FaninError(
            f"path is {quote(path)}; give the name of a file, as text or a Path."
        ) from None
    if "\0" in str(found):
        raise FaninError(f"path is {quote(path)}; the name of a file holds no NUL.")
    if not found.name:
        raise FaninError(f"path is {quote(path)}, a folder; give the name of a file.")
    return found


def _lines(contents: dict[str, Any]) -> Iterator[str]:
    yield from (f"{key} = {_value(value)}" for key, value in contents.items() if key != _ROWS)
    for row in contents[_ROWS]:
        yield ""
        yield f"[[{_ROWS}]]"
        yield from (f"{key} = {_value(value)}" for key, value in row.items())


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
        "kept": (row.kept_sha256, None),
        "lr": (row.lr_factor, 1.0),
        "eps": (row.eps_factor, 1.0),
        "decay": (row.decay_factor, 1.0),
        "averaged": (row.averaged, False),
        "zero_row": (row.zero_row, None),
        "keeps": (row.keeps, None),
        "guessed": (row.guessed, False),
        "rows": (row.drawn_rows, None),
        "like": (row.like, None),
    }
    return fields | {key: value for key, (value, default) in optional.items() if value != default}


def read(path: str | os.PathLike[str]) -> Contents:
    """The contents of a file that `write` wrote."""
    path = _check(path)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise FaninError(f"cannot read the plan {str(path)!r}: {one_line(error)}.") from None
    except ValueError as error:  # what is no UTF-8
        raise FaninError(f"{str(path)!r} is not a plan: {one_line(error)}.") from None
    return parse(text, repr(str(path)))


def parse(text: str, where: str) -> Contents:
    """The contents of a file's text; `where` says in errors what held it."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise FaninError(f"{where} is not a plan: {one_line(error)}.") from None
    for key, known in (("format", _FORMAT), ("stream", _STREAM)):
        if type(data.get(key)) is not int or data[key] != known:
            raise FaninError(
                f"{where} has {key} {quote(data.get(key))}; this fanin reads {key} {known}."
            )
    try:
        return _contents(data, lines_of(text))
    except FaninError as error:
        raise FaninError(f"{where} is not a plan: {error}") from None


def _contents(data: dict[str, Any], lines: list[dict[str, int]]) -> Contents:
    del data["format"], data["stream"]  # known to be ours
    head = Fields(data, "the head of the file", lines[0])
    tables = head.take(_ROWS, kinds.TABLES, ())
    recipe, notes = head.take("recipe", kinds.TEXT), head.take("notes", kinds.TEXTS, ())
    seed, prefix = head.take("seed", kinds.SEED, None), head.take("prefix", kinds.NAME, "")
    library = head.take("library", kinds.LIBRARY, "")
    head.finish()
    known = lines[1:] if len(lines) == len(tables) + 1 else [{} for _ in tables]
    rows = tuple(
        _row_from(Fields(values, f"parameter {_call(values, number)}", places))
        for number, (values, places) in enumerate(zip(tables, known, strict=True), 1)
    )
    for name, count in Counter(row.name for row in rows).items():
        if count > 1:
            raise FaninError(f"parameter {name} has {count} rows; leave one.")
    sources = {row.name for row in rows if row.like is None}
    for row in rows:
        if row.like is not None and (row.like not in sources or row.initializer is not None):
            raise FaninError(
                f"parameter {row.name} is like {row.like}; it must be kept, and like a parameter "
                "that is no copy itself."
            )
    return recipe, rows, notes, seed, prefix, library


def _call(values: dict[str, Any], number: int) -> str:
    name = values.get("name")
    return name[:100] if type(name) is str else f"number {number}"


def _row_from(fields: Fields) -> Row:
    take = fields.take
    row = Row(
        name=take("name", kinds.NAME),
        shape=take("shape", kinds.SIZES),
        dtype=take("dtype", kinds.DTYPE),
        role=take("role", kinds.TEXT),
        initializer=_initializer(fields),
        axes=_axes(fields),
        why=take("why", kinds.TEXT),
        aliases=take("aliases", kinds.NAMES, ()),
        output=take("output", kinds.NUMBER, None),
        kept_sha256=take("kept", kinds.HASH, None),
        lr_factor=take("lr", kinds.NUMBER, 1.0),
        eps_factor=take("eps", kinds.NUMBER, 1.0),
        decay_factor=take("decay", kinds.NUMBER, 1.0),
        averaged=take("averaged", kinds.FLAG, False),
        zero_row=take("zero_row", kinds.INDEX, None),
        keeps=take("keeps", kinds.KEEPS, None),
        guessed=take("guessed", kinds.FLAG, False),
        drawn_rows=take("rows", kinds.SIZES, None),
        like=take("like", kinds.NAME, None),
    )
    fields.finish()
    try:  # what `apply` would meet later
        parse_axes(row.axes, check_shape(row.shape))
        _ = row.std
    except FaninError as error:
        raise fields.error("initializer", str(error)) from None
    if row.drawn_rows is not None:
        try:
            check_rows(row)
        except FaninError as error:
            raise fields.error("rows", str(error)) from None
    if row.zero_row is not None and row.zero_row >= (*row.shape, 0)[0]:
        raise fields.error("zero_row", f"zero_row is {row.zero_row}; shape is {row.shape}.")
    return row


def _initializer(fields: Fields) -> Initializer | None:
    spec = fields.take("initializer", kinds.TEXT)
    try:
        return None if spec == "kept" else get(spec)
    except UnknownInitializerError as error:
        told = (
            "If the rule is your own, fanin.initializers.register its name before the plan is read."
        )
        raise fields.error("initializer", f"{error} {told}") from None
    except FaninError as error:
        raise fields.error("initializer", str(error)) from None


def _axes(fields: Fields) -> Axes:
    roles = fields.take("axes", kinds.TEXT)
    try:
        return Axes(
            tuple(roles.split()),
            fields.take("groups", kinds.COUNT, 1),
            fields.take("transposed", kinds.FLAG, False),
            fields.take("stride", kinds.STRIDE, 1),
            fields.take("blocks", kinds.COUNTS, ()),
        )
    except FaninError as error:
        raise fields.error("axes", str(error)) from None
