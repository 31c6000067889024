"""The one exception that every rejected input raises, the one warning, and what checks share."""

import math
import sys
import warnings
from collections.abc import Sequence
from typing import Any


class FaninError(ValueError):
    """Input that fanin cannot use.

    The message names what was wrong (the parameter and its shape where there is one), the
    value received, the values allowed, and the next step. Nothing was changed: the call
    that raised it left models, arrays and files as they were.
    """


class FaninWarning(UserWarning):
    """Something that fanin did as asked, and that may not be what was meant.

    Values that neither the seed nor the program determines, such as a constant that the
    constructor drew, or weights that are equal where people want them to differ. The message
    names the parameter and the next step.
    """


_LISTED = 8  # names that an error lists
_LONGEST = 160  # characters of a value that an error quotes
_LONGEST_REASON = 240  # of another error: shapes come last


def warn(message: str) -> None:
    """A FaninWarning at the line outside this package that led here."""
    depth, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("fanin."):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, FaninWarning, stacklevel=depth)


def suggestion(word: str, known: Sequence[str]) -> str:
    """How an error about an unknown word goes on: the nearest known one, or the eight nearest."""
    import difflib  # only a mistake needs it

    word = word[:100]
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f": did you mean {near[0]!r}?"
    nearest = ", ".join(difflib.get_close_matches(word, known, n=_LISTED, cutoff=0.0))
    few = len(known) <= _LISTED
    return f". Known are {nearest}." if few else f". Of {len(known)} known, nearest: {nearest}."


def quote(value: object) -> str:
    """A value as an error quotes it, in one line: of arrays type, shape and dtype."""
    import reprlib

    class Brief(reprlib.Repr):
        def repr_instance(self, x: Any, level: int) -> str:
            """Of whatever Python has no literal for."""
            kind = type(x)
            array = hasattr(x, "shape") and hasattr(x, "dtype") and not isinstance(x, type)
            if not array or (kind.__module__ == "numpy" and kind.__name__ != "ndarray"):
                return " ".join(super().repr_instance(x, level).split())
            dtype = str(x.dtype).removeprefix("torch.")
            return f"<{kind.__name__} of shape {tuple(x.shape)}, {dtype}>"

    brief = Brief()
    brief.maxstring = brief.maxother = 80
    text = brief.repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def one_line(error: BaseException, *, named: bool = False) -> str:
    """What an exception says in one line without a full stop, of the system's its reason alone.

    Its class, too, where that is asked for (`named`), or where it says nothing else.
    """
    said = getattr(error, "strerror", None) or str(error)
    line = " ".join(next(iter(said.strip().splitlines()), "").split()).rstrip(".")
    if len(line) > _LONGEST_REASON:
        line = line[:_LONGEST_REASON].rpartition(" ")[0] + " ..."
    name = type(error).__name__
    return f"{name}: {line}" if named and line else line or name


def an(noun: str) -> str:
    """The name of a class with its article: an AC, a ResNet, an ndarray."""
    spelled = noun[:2].isupper() or noun[:2] == "nd"  # letter by letter
    vowel = noun[:1].upper() in ("AEFHILMNORSX" if spelled else "AEIOU")
    return f"{'an' if vowel else 'a'} {noun}"


def as_number(value: Any) -> float:
    """The value as a float; NaN, which every check refuses, where it is not a number."""
    try:
        return math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
