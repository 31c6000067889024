"""Arguments that many functions take: what a seed and a shape may be; and names that they had."""

import functools
import math
import operator
from collections.abc import Callable, Collection, Sequence
from typing import Any, SupportsIndex, TypeVar

from fanin.errors import FaninError, as_number, quote, warn

Class = TypeVar("Class", bound=type[Any])


def check_seed(seed: SupportsIndex) -> int:
    """The seed as an int in [0, 2**64); anything else is a FaninError."""
    if not isinstance(seed, bool):
        try:
            value = operator.index(seed)
        except TypeError:
            pass
        else:
            if 0 <= value < 2**64:
                return value
    raise FaninError(
        f"seed is {quote(seed)}; a seed is an integer in [0, 2**64).{_seed_hint(seed)}"
    )


def _seed_hint(seed: object) -> str:
    """What to write instead of what other libraries take for a seed."""
    if seed is None:
        return " Say which, such as seed=0: no global state decides."
    if hasattr(seed, "initial_seed"):  # torch's generators
        return " Of a generator pass generator.initial_seed()."
    if hasattr(seed, "bit_generator"):  # NumPy's
        return " Of a generator pass int(generator.integers(2**63))."
    return ""


def check_shape(shape: SupportsIndex | Sequence[SupportsIndex]) -> tuple[int, ...]:
    """The shape as a tuple of ints >= 0 with fewer than 2**63 elements in all."""
    try:
        result = (shape,) if type(shape) is int else tuple(map(operator.index, shape))  # type: ignore[arg-type]
    except TypeError:
        try:
            result = (operator.index(shape),)  # type: ignore[arg-type]
        except TypeError:
            raise FaninError(
                f"shape is {quote(shape)}; a shape is an integer or integers >= 0."
            ) from None
    if min(result, default=0) < 0:
        raise FaninError(f"shape is {result}; every size must be >= 0.")
    total = math.prod(result) or math.prod(filter(None, result))
    if total >= 2**63:
        raise FaninError(f"shape {result} has {total} elements; a tensor has fewer than 2**63.")
    return result


def check_number(name: str, value: object, low: float, high: float) -> None:
    """FaninError unless a value is a number above `low` and at most `high`."""
    if not low < as_number(value) <= high:
        raise FaninError(f"{name} is {quote(value)}; give a number above {low:g}, up to {high:g}.")


def check_choice(name: str, value: object, allowed: Collection[str | int]) -> None:
    """FaninError unless a value is one of these words or numbers."""
    if not isinstance(value, str | int) or value not in allowed:
        raise FaninError(f"{name} is {quote(value)}; allowed are {', '.join(map(str, allowed))}.")


def check_flag(name: str, value: object) -> None:
    """FaninError unless a value is True or False."""
    if type(value) is not bool:
        raise FaninError(f"{name} is {quote(value)}; it is True or False.")


def keep_names(**names: str) -> Callable[[Class], Class]:
    """Of a class, fields that were called otherwise in the last version: `old="new"`.

    Under the old name each can still be given and read, with a FaninWarning.
    """

    def keep(kind: Class) -> Class:
        init = kind.__init__

        @functools.wraps(init)
        def init_with_old(self: Any, *args: Any, **given: Any) -> None:
            if not names.keys().isdisjoint(given):
                for old in names.keys() & given.keys():
                    _say_new(kind, old, names[old])
                    given[names[old]] = given.pop(old)
            init(self, *args, **given)

        kind.__init__ = init_with_old
        for old, new in names.items():
            setattr(kind, old, property(functools.partial(_read, kind, old, new)))
        return kind

    return keep


def _read(kind: type, old: str, new: str, item: Any) -> Any:
    _say_new(kind, old, new)
    return getattr(item, new)


def _say_new(kind: type, old: str, new: str) -> None:
    warn(f"{kind.__name__}.{old} is called {new} now; the old name goes with the next version.")
