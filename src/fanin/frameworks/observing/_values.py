"""Values: what the numbers in a parameter show, and in its gradient: size, copies, symmetry."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from fanin.axes import Axes
from fanin.frameworks._observation import GradientStats, PackedMatrix, ParameterStats, Repeat
from fanin.frameworks.observing._numbers import Array, norm
from fanin.graph import Use

_CHUNK = 1 << 22  # elements that are looked at together
_SAMPLE = 1 << 16  # values that the shape of a distribution is read from
_START = 64  # values that tell one drawing from another
_HUGE = 1e15  # no weight is as large
_TINY = 1.2e-38  # the smallest number that single precision holds in full
_SHOWN = 3  # odd values

Groups = Any  # a NumPy array of integers, one for each row


def describe(
    values: Array, use: Use | None, same: float, largest: float
) -> tuple[ParameterStats, Groups | None]:
    """What the values of a parameter show, and the group that each row of it is in.

    `use` says which are the rows of a weight; `largest` is the largest number of its type. Of
    complex numbers the RMS is that of their absolute values, all else that of their parts.
    """
    parts = _split_complex(values, use)
    flat = parts.reshape(-1)
    size = norm(parts) / math.sqrt(max(values.size, 1))
    some = flat[:_SAMPLE].astype(np.float64)
    with np.errstate(all="ignore"):
        spread = some - some.mean() if some.size else some
        second = float(np.square(spread).mean()) if some.size else 0.0
        fourth = float(np.square(np.square(spread)).mean()) if some.size else 0.0
        mean = float(flat.mean(dtype=np.float32)) if flat.size else 0.0
    rows = None if use is None else as_rows(parts, use.axes)
    kind = None if rows is None else groups(rows, same)
    made = ParameterStats(
        shape=tuple(values.shape),
        mean=mean,
        rms=size,
        low=float(some.min()) if some.size else 0.0,
        high=float(some.max()) if some.size else 0.0,
        kurtosis=fourth / second**2 if second else 0.0,
        start=tuple(some[:_START].tolist()),
        orthogonal=rows is not None and _orthogonal(rows),
        units=None if rows is None else len(rows),
        rows=None if kind is None else int(kind.max()) + 1,
        alike=() if kind is None else _largest(kind),
        repeats=() if rows is None or kind is None else tuple(_repeats(rows, kind)),
        blocks=() if rows is None or kind is None else tuple(_blocks(rows, kind, use, values)),
        odd=_odd(flat, size, largest),
    )
    return made, kind


def describe_gradient(
    gradient: Array, use: Use | None, kind: Groups | None, same: float
) -> GradientStats:
    """What the gradient of a parameter shows, whose rows are in the groups `kind`."""
    gradient = _split_complex(gradient, use)
    size = norm(gradient)
    rows = None if use is None else as_rows(gradient, use.axes)
    # Units can only be alike where their weights are.
    alike = kind is not None and int(kind.max()) + 1 < len(kind)
    own = None if rows is None or kind is None else groups(rows, same, exactly=alike)
    if rows is None or own is None or kind is None:
        return GradientStats(size)
    both = kind * (int(own.max()) + 1) + own
    blocks = [
        GradientStats(norm(rows[part]), len(np.unique(own[part])), len(np.unique(both[part])))
        for part in _split_packed(use, len(rows))
    ]
    return GradientStats(size, int(own.max()) + 1, len(np.unique(both)), tuple(blocks))


def _split_complex(values: Array, use: Use | None) -> Array:
    """Complex numbers as both their parts, each an input of a row; real ones as they are."""
    if not np.iscomplexobj(values):
        return values
    values = np.atleast_1d(values)
    roles = () if use is None else use.axes.roles
    axis = roles.index("in") if "in" in roles and len(roles) == values.ndim else values.ndim - 1
    return np.concatenate([values.real, values.imag], axis)


def _split_packed(use: Use | None, count: int) -> list[Any]:
    """Which of so many rows are of each matrix that is packed in a weight."""
    if use is None:
        return []
    sizes = use.period or use.axes.blocks
    if not sizes or "stack" in use.axes.roles or count % sum(sizes):
        return []
    owners = np.tile(np.repeat(np.arange(len(sizes)), sizes), count // sum(sizes))
    return [np.flatnonzero(owners == at) for at in range(len(sizes))]


def _blocks(rows: Array, kind: Groups, use: Use | None, values: Array) -> Iterator[PackedMatrix]:
    for part in _split_packed(use, len(rows)):
        size = norm(rows[part]) / math.sqrt(max(len(part) * (values.size // len(rows)), 1))
        yield PackedMatrix(len(part), len(np.unique(kind[part])), size)


def _odd(flat: Array, size: float, largest: float) -> tuple[float, ...]:
    """A few finite values too large for any weight, or denormal ones where there is nothing else.

    The most negative number of a type stands for minus infinity in masks, and is none.
    """
    if 0 < size < _TINY:
        return tuple(flat[flat != 0][:_SHOWN].tolist())
    if size < _HUGE / math.sqrt(flat.size or 1):  # NaN goes on
        return ()
    found = np.isfinite(flat) & (np.abs(flat) > _HUGE) & (np.abs(flat) < largest)
    return tuple(flat[found][:_SHOWN].tolist())


def as_rows(values: Array, axes: Axes) -> Array | None:
    """A weight as a matrix, one row per output of each copy; None for what is no matrix."""
    roles = axes.roles
    if values.ndim != len(roles) or "in" not in roles or not values.size:
        return None
    first = [axis for axis, role in enumerate(roles) if role in ("stack", "out")]
    rest = [axis for axis, role in enumerate(roles) if role not in ("stack", "out")]
    count = math.prod(values.shape[axis] for axis in first)
    return values.transpose(*first, *rest).reshape(count, -1)


def groups(rows: Array, same: float, *, exactly: bool = True) -> Groups | None:
    """For every row, the number of its group of equal rows; None where values are not finite.

    Rows are equal where no element differs by more than `same` of the largest of them; without
    `exactly`, where two random projections of them agree, which takes less time.
    """
    with np.errstate(all="ignore"):
        keys = _keys(rows)
        if not bool(np.isfinite(keys).all()):
            return None
        order = keys[:, 0].argsort(kind="stable")
        room = 4 * same * float(np.sqrt(np.square(keys).mean())) * math.sqrt(rows.shape[1])
        joined = np.zeros(len(rows), bool)
        joined[1:] = (np.abs(keys[order][1:] - keys[order][:-1]) <= room).all(1)
        places = np.flatnonzero(joined)
        step = max(_CHUNK // max(rows.shape[1], 1), 1)
        for start in range(0, len(places), step) if exactly else ():
            part = places[start : start + step]
            row, other = (rows[order[at]].astype(np.float32) for at in (part, part - 1))
            joined[part] = np.abs(row - other).max(1) <= same * np.abs(row).max(1)
    found = np.empty(len(rows), np.int64)
    found[order] = np.cumsum(~joined) - 1
    return found


def _keys(rows: Array) -> Array:
    """Two numbers for every row, the same for equal rows: few others come near in both."""
    directions = np.random.default_rng(0).standard_normal((rows.shape[1], 2))
    directions = (directions / np.linalg.norm(directions, axis=0)).astype(np.float32)
    step = max(_CHUNK // max(rows.shape[1], 1), 1)
    parts = [rows[start : start + step] for start in range(0, len(rows), step)]
    made = [part.astype(np.float32, copy=False) @ directions for part in parts]
    return np.concatenate(made).astype(np.float64)


def _largest(kind: Groups, most: int = 8) -> tuple[tuple[int, ...], ...]:
    counts = np.bincount(kind)
    several = np.argsort(-counts, kind="stable")[:most].tolist()
    return tuple(
        tuple(np.flatnonzero(kind == position).tolist())
        for position in several
        if counts[position] > 1
    )


def _repeats(rows: Array, kind: Groups, most: int = 64) -> Iterator[Repeat]:
    """Runs of rows that come again at one distance: of heads, members, packed matrices.

    At most so many; single rows that come again and again are none.
    """
    order = np.argsort(kind, kind="stable")
    same = np.flatnonzero(kind[order][1:] == kind[order][:-1])
    distance = np.zeros(len(kind), np.int64)  # of every row to the last one that is equal
    distance[order[same + 1]] = order[same + 1] - order[same]
    edges = np.flatnonzero(np.diff(distance)) + 1
    runs = zip([0, *edges.tolist()], [*edges.tolist(), len(kind)], strict=True)
    found = 0
    for start, end in runs:
        size = int(distance[start])
        if size > 1 and (end - start) % size == 0 and found < most:
            found += 1
            first = start - size
            values = rows[first : first + size].reshape(-1)[:_START].astype(np.float64)
            yield Repeat(first, size, (end - start) // size + 1, tuple(values.tolist()))


def _orthogonal(rows: Array) -> bool:
    """Whether rows, or columns where there are fewer, are orthogonal and of one length."""
    short = rows if rows.shape[0] <= rows.shape[1] else rows.T
    if short.shape[0] < 2 or rows.size > _CHUNK:
        return False
    some = short[:64].astype(np.float64)
    with np.errstate(all="ignore"):
        product = some @ some.T
        length = product.diagonal().mean()
        aside = np.abs(product - length * np.eye(len(some))).max()
    return bool(length > 0) and bool(aside < 1e-3 * length)
