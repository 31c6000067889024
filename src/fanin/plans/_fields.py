"""Fields: what the tables of a plan's file say, each value checked; errors name key and line."""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from fanin._arguments import check_seed
from fanin.errors import FaninError, quote, suggestion
from fanin.frameworks import LIBRARIES
from fanin.plans._row import Keeps
from fanin.streams._address import stream_number

_TABLE = re.compile(r"\s*\[\[\s*parameter\s*\]\]")
_KEY = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*=")
_NOTHING = object()


class FieldKind(NamedTuple):
    """What a value may be, in words, and what it is read as; None where it is something else."""

    allowed: str
    read: Callable[[Any], Any]


def _of(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if type(value) is kind else None


def _one_of(allowed: tuple[str, ...]) -> FieldKind:
    def read(value: Any) -> Any:
        return value if type(value) is str and value in allowed else None

    return FieldKind(f"one of {', '.join(allowed)}", read)


def _matching(pattern: str) -> Callable[[Any], Any]:
    return lambda value: value if type(value) is str and re.fullmatch(pattern, value) else None


def _whole(least: int) -> Callable[[Any], Any]:
    return lambda value: value if type(value) is int and value >= least else None


def _many(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read_all(value: Any) -> Any:
        found = [read(item) for item in value] if type(value) is list else [None]
        return None if None in found else tuple(found)

    return read_all


def _name(value: Any) -> str | None:
    try:
        stream_number(value)
    except FaninError:
        return None
    return str(value)


def _number(value: Any) -> float | None:
    real = type(value) in (int, float) and 0 <= value <= sys.float_info.max
    return float(value) if real else None


def _seed(value: Any) -> int | None:
    """TOML's integers end at 2**63, so a seed is written as text; small ones may be either."""
    digits = type(value) is str and value.isascii() and value.isdigit() and len(value) <= 20
    try:
        return check_seed(int(value) if digits else value)
    except FaninError:
        return None


def _stride(value: Any) -> Any:
    return _many(_whole(1))(value) if type(value) is list else _whole(1)(value)


TEXT = FieldKind("text", _of(str))
TEXTS = FieldKind("a list of texts", _many(_of(str)))
NAME = FieldKind("the name of a parameter, as text", _name)
NAMES = FieldKind("a list of names", _many(_name))
# Those of all libraries, also of what is kept: uint4, quint4x2, float8_e4m3fn.
DTYPE = FieldKind(
    "a type such as 'float32'",
    _matching(
        r"bool|(bits|q?u?int)([1-8]|16|32|64)(x\d)?|bfloat16|float(0|16|32|64|[468]_\w+)"
        r"|complex(64|128)|b?complex32"
    ),
)
HASH = FieldKind("a SHA-256 in 64 hexadecimal digits", _matching(r"[0-9a-f]{64}"))
FLAG = FieldKind("true or false", _of(bool))
KEEPS = _one_of(get_args(Keeps))
LIBRARY = _one_of(LIBRARIES)
NUMBER = FieldKind("a finite number >= 0", _number)
COUNT = FieldKind("an integer >= 1", _whole(1))
INDEX = FieldKind("an integer >= 0", _whole(0))
SIZES = FieldKind("a list of integers >= 0", _many(_whole(0)))
COUNTS = FieldKind("a list of integers >= 1", _many(_whole(1)))
STRIDE = FieldKind("an integer >= 1, or a list of them", _stride)
SEED = FieldKind("an integer in [0, 2**64), as text", _seed)
TABLES = FieldKind("a list of tables", _many(_of(dict)))


@dataclass
class Fields:
    """One table of the file, taken key by key; `lines` has the line of a key where it is known."""

    values: dict[str, Any]
    what: str
    lines: Mapping[str, int]

    def take(self, key: str, kind: FieldKind, default: Any = _NOTHING) -> Any:
        """The value of a key; FaninError where it is missing or something else."""
        if key not in self.values:
            if default is _NOTHING:
                raise FaninError(f"{self.what} has no {key}; it is {kind.allowed}.")
            return default
        value = self.values.pop(key)
        read = kind.read(value)
        if read is None:
            raise self.error(key, f"{key} is {quote(value)}; it must be {kind.allowed}.")
        return read

    def finish(self) -> None:
        """Raise for keys that nobody took."""
        for key in self.values:
            raise self.error(key, f"unknown key {quote(key)}{suggestion(key, KEYS)}")

    def error(self, key: str, message: str) -> FaninError:
        """An error about a key, with its line."""
        place = f"line {self.lines[key]}, " if key in self.lines else ""
        return FaninError(f"{place}{self.what}: {message}")


# All that a file may say, for errors about a key that is none of them.
KEYS = (
    *("format", "stream", "recipe", "notes", "seed", "prefix", "library", "parameter"),
    *("name", "shape", "dtype", "role", "initializer", "axes", "why", "groups", "transposed"),
    *(
        "stride",
        "blocks",
        "aliases",
        "output",
        "kept",
        "lr",
        "eps",
        "decay",
        "averaged",
        "zero_row",
        "keeps",
        "guessed",
        "rows",
        "like",
    ),
)


def lines_of(text: str) -> list[dict[str, int]]:
    """The lines of the keys: of the head first, then of each [[parameter]]."""
    found: list[dict[str, int]] = [{}]
    for number, line in enumerate(text.split("\n"), 1):
        if _TABLE.match(line):
            found.append({})
        elif key := _KEY.match(line):
            found[-1].setdefault(key[1], number)
    return found
