"""The one exception that every rejected input raises, the one warning, and what checks share."""

import math
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


def suggestion(word: str, known: Sequence[str]) -> str:
    """How an error about an unknown word goes on: the nearest known word, or all of them."""
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(word, known, n=1)
    return f": did you mean {near[0]!r}?" if near else f". Known are {', '.join(known)}."


def as_number(value: Any) -> float:
    """The value as a float; NaN, which every check refuses, where it is not a number."""
    try:
        return math.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
