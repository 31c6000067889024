"""Arguments that many functions take: what a seed and a shape may be."""

import math
import operator
from collections.abc import Sequence
from typing import SupportsIndex

from fanin.errors import FaninError, shown


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
        f"seed is {shown(seed)}; a seed is an integer in [0, 2**64).{_seed_hint(seed)}"
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
                f"shape is {shown(shape)}; a shape is an integer or integers >= 0."
            ) from None
    if min(result, default=0) < 0:
        raise FaninError(f"shape is {result}; every size must be >= 0.")
    total = math.prod(result) or math.prod(filter(None, result))
    if total >= 2**63:
        raise FaninError(f"shape {result} has {total} elements; a tensor has fewer than 2**63.")
    return result
