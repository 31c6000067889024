"""Values: what the numbers in a parameter show, and in its gradient: size, copies, symmetry."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from fanin.axes import Axes
from fanin.frameworks._observation import GradientStats, ParameterStats
from fanin.frameworks.torch.observe._look import norm
from fanin.graph import Node

_CHUNK = 1 << 22  # elements that are looked at together
_SAMPLE = 1 << 16  # values that the shape of a distribution is read from
_START = 64  # values that tell one drawing from another
_HUGE = 1e15  # no weight is as large
_TINY = 1.2e-38  # the smallest number that single precision holds in full
_SHOWN = 3  # odd values


def describe(
    tensor: Tensor, axes: Axes | None, same: float
) -> tuple[ParameterStats, Tensor | None]:
    """What the values of a parameter show, and the group that each row of it is in.

    `axes` say which are the rows of a weight.
    """
    values = tensor.detach()
    if values.layout is not torch.strided:
        values = values.to_dense()
    flat = values.reshape(-1)
    size = norm(values) / math.sqrt(max(values.numel(), 1))
    some = flat[:_SAMPLE].double()
    spread = some - some.mean() if some.numel() else some
    second = float(spread.square().mean()) if some.numel() else 0.0
    fourth = float(spread.square().square().mean()) if some.numel() else 0.0
    rows = None if axes is None else as_rows(values, axes)
    kind = None if rows is None else groups(rows, same)
    made = ParameterStats(
        shape=tuple(values.shape),
        mean=float(flat.mean(dtype=torch.float32)) if flat.numel() else 0.0,
        rms=size,
        low=float(some.min()) if some.numel() else 0.0,
        high=float(some.max()) if some.numel() else 0.0,
        kurtosis=fourth / second**2 if second else 0.0,
        start=tuple(some[:_START].tolist()),
        orthogonal=rows is not None and _orthogonal(rows),
        units=None if rows is None else len(rows),
        rows=None if kind is None else int(kind.max()) + 1,
        alike=() if kind is None else _largest(kind),
        odd=_odd(flat, size),
    )
    return made, kind


def _odd(flat: Tensor, size: float) -> tuple[float, ...]:
    """A few finite values too large for any weight, or denormal ones where there is nothing else.

    The most negative number of a type stands for minus infinity in masks, and is none.
    """
    if 0 < size < _TINY:
        return tuple(flat[flat != 0][:_SHOWN].tolist())
    if size < _HUGE / math.sqrt(flat.numel() or 1):  # NaN goes on
        return ()
    large = flat.isfinite() & (flat.abs() > _HUGE) & (flat.abs() < torch.finfo(flat.dtype).max)
    return tuple(flat[large][:_SHOWN].tolist())


def as_rows(values: Tensor, axes: Axes) -> Tensor | None:
    """A weight as a matrix, one row per output of each copy; None for what is no matrix."""
    roles = axes.roles
    if values.dim() != len(roles) or "in" not in roles or not values.numel():
        return None
    first = [axis for axis, role in enumerate(roles) if role in ("stack", "out")]
    rest = [axis for axis, role in enumerate(roles) if role not in ("stack", "out")]
    count = math.prod(values.shape[axis] for axis in first)
    return values.permute(*first, *rest).reshape(count, -1)


def groups(rows: Tensor, same: float, *, exactly: bool = True) -> Tensor | None:
    """For every row, the number of its group of equal rows; None where values are not finite.

    Rows are equal where no element differs by more than `same` of the largest of them; without
    `exactly`, where two random projections of them agree, which takes less time.
    """
    keys = _keys(rows)
    if not bool(keys.isfinite().all()):
        return None
    order = keys[:, 0].argsort()
    room = 4 * same * float(keys.square().mean().sqrt()) * math.sqrt(rows.shape[1])
    near = ((keys[order][1:] - keys[order][:-1]).abs() <= room).all(1)
    joined = torch.zeros(len(rows), dtype=torch.bool, device="cpu")
    joined[1:] = near.cpu()
    places = near.nonzero().flatten() + 1
    step = max(_CHUNK // max(rows.shape[1], 1), 1)
    for part in torch.split(places, step) if exactly else ():
        row, other = rows[order[part]].float(), rows[order[part - 1]].float()
        apart = (row - other).abs().amax(1)
        joined[part.cpu()] = (apart <= same * row.abs().amax(1)).cpu()
    numbers = (~joined).long().cumsum(0) - 1
    found = torch.empty_like(numbers)
    found[order.cpu()] = numbers
    return found


def _keys(rows: Tensor) -> Tensor:
    """Two numbers for every row, the same for equal rows: few others come near in both."""
    generator = torch.Generator("cpu").manual_seed(0)
    directions = torch.randn(
        (rows.shape[1], 2), generator=generator, dtype=torch.float64, device="cpu"
    )
    directions = (directions / directions.norm(dim=0)).to(rows.device, torch.float32)
    step = max(_CHUNK // max(rows.shape[1], 1), 1)
    parts = torch.split(rows, step) if rows.dtype != torch.float32 else [rows]
    return torch.cat([part.float() @ directions for part in parts]).double()


def _largest(kind: Tensor, most: int = 8) -> tuple[tuple[int, ...], ...]:
    counts = torch.bincount(kind)
    several = counts.argsort(descending=True)[:most].tolist()
    return tuple(
        tuple((kind == position).nonzero().flatten().tolist())
        for position in several
        if counts[position] > 1
    )


def _orthogonal(rows: Tensor) -> bool:
    """Whether rows, or columns where there are fewer, are orthogonal and of one length."""
    short = rows if rows.shape[0] <= rows.shape[1] else rows.T
    if short.shape[0] < 2 or rows.numel() > _CHUNK:
        return False
    some = short[:64].double()
    product = some @ some.T
    length = product.diagonal().mean()
    aside = product - length * torch.eye(len(some), device=some.device, dtype=some.dtype)
    return bool(length > 0) and bool(aside.abs().max() < 1e-3 * length)


@contextmanager
def watch(
    parameters: Mapping[str, Tensor], nodes: Sequence[Node], same: float, *, backward: bool
) -> Iterator[tuple[dict[str, ParameterStats], dict[str, GradientStats]]]:
    """The values of parameters, and of their gradients as they come: each is dropped at once."""
    uses: dict[str, Axes] = {}
    for node in nodes:
        for use in (*((node.param,) if node.op == "linear" and node.param else ()), *node.uses):
            uses.setdefault(use.name, use.axes)
    values: dict[str, ParameterStats] = {}
    found: dict[str, GradientStats] = {}
    with ExitStack() as stack:
        for name, tensor in parameters.items():
            if not tensor.is_floating_point():
                continue
            axes = uses.get(name)
            values[name], kind = describe(tensor, axes, same)
            if backward and tensor.requires_grad:
                keep = _keeper(found, name, axes, kind, same)
                handle = tensor.register_post_accumulate_grad_hook(keep)  # type: ignore[no-untyped-call]
                stack.callback(handle.remove)
        yield values, found


def _keeper(
    found: dict[str, GradientStats], name: str, axes: Axes | None, kind: Tensor | None, same: float
) -> Callable[[Tensor], None]:
    def keep(tensor: Tensor) -> None:
        gradient, tensor.grad = tensor.grad, None
        if gradient is None:
            return
        if gradient.layout is not torch.strided:
            found[name] = GradientStats(norm(gradient.coalesce().values()))
            return
        size = norm(gradient)
        rows = None if axes is None else as_rows(gradient, axes)
        # Units can only be alike where their weights are.
        alike = kind is not None and int(kind.max()) + 1 < len(kind)
        own = None if rows is None or kind is None else groups(rows, same, exactly=alike)
        if own is None or kind is None:
            found[name] = GradientStats(size)
            return
        both = kind * (int(own.max()) + 1) + own
        found[name] = GradientStats(size, int(own.max()) + 1, len(torch.unique(both)))

    return keep
