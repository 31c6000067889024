"""Unwritten: what shows that nobody wrote a tensor's memory since it was taken."""

from collections.abc import Iterable

import torch
from torch import Tensor

from fanin._columns import list_names
from fanin.frameworks._tiles import tiles
from fanin.param import HUGE, TINY

_INTEGERS = 2**31  # beyond which no index and no count goes
_LISTED = 3


def find_patterns(views: Iterable[Tensor]) -> str:
    """Bits that are no numbers of a model: "" where there are none, else how many and which.

    Infinities and the largest number of a type are what masks are made of.
    """
    count, odd, shown = 0, 0, ""
    for view in views:
        for tile in tiles(tuple(view.shape)):
            values = view[tile].detach()
            unlike = _is_odd(values)
            count, found = count + values.numel(), int(unlike.sum())
            if found and not odd:
                shown = f"{values[unlike][0].item():.4g}"
            odd += found
    if not odd:
        return ""
    return f"{odd} of {count} elements are {'' if odd == 1 else 'such as '}{shown}"


def _is_odd(values: Tensor) -> Tensor:
    if values.is_complex():
        return _is_odd(values.real) | _is_odd(values.imag)
    if not values.is_floating_point():
        if values.dtype is torch.bool or values.dtype.itemsize < 8:
            return torch.zeros_like(values, dtype=torch.bool)
        return (values >= _INTEGERS) | (values < -_INTEGERS)
    size = values.abs()
    huge = (size > HUGE) & (size < torch.finfo(values.dtype).max)
    return values.isnan() | huge | ((size > 0) & (size < TINY))


def find_zero_rows(view: Tensor, but: int | None) -> str:
    """The rows of a tensor that are zero, less the one that is so on purpose; "" for none."""
    rows = view.detach().flatten(1) if view.ndim > 1 else view.detach().reshape(1, -1)
    zero = ~rows.ne(0).any(1)
    if but is not None and view.ndim > 1:
        zero[but] = False
    found = zero.nonzero().flatten().tolist()
    if not found or not rows.shape[1]:
        return ""
    if len(found) == len(rows):
        return "all elements are zero"
    return f"zero rows are {list_names([*map(str, found)], _LISTED)} of {len(rows)}"
