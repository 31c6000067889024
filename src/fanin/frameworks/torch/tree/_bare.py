"""Bare parameters: roles of what modules of unknown classes hold, by shape and neighbours."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from fanin.axes import Axes, parse_axes
from fanin.frameworks._bare import bare_role, long_axes
from fanin.param import HUGE, TINY, Kind

_ORTHOGONAL = 4e-6  # cosines of what a decomposition in float32 gives


Shapes = Mapping[str, tuple[int, ...]]


def shapes_in(module: nn.Module) -> Shapes:
    """The shapes of a module's own parameters, by attribute."""
    return {
        name: tuple(parameter.shape)
        for name, parameter in module._parameters.items()
        if parameter is not None and not is_lazy(parameter)
    }


def role_by_shape(
    module: nn.Module,
    attribute: str,
    shape: tuple[int, ...],
    made: float | None,
    siblings: Shapes,
) -> tuple[Kind, Axes]:
    """What `bare_role` says of a parameter of a module; weights of a leaf are (out, in, ...)."""
    leaf = next(module.children(), None) is None
    return bare_role(attribute, shape, made, siblings, leaf, parse_axes(None, shape))


def constant_value(tensor: torch.Tensor) -> float | None:
    """The value of all elements; None where they differ, or nobody wrote them."""
    plain = tensor.detach()
    if type(plain) is not torch.Tensor or plain.layout is not torch.strided:  # sharded, fake
        return None
    if plain.device.type == "meta" or plain.is_complex() or not plain.numel():
        return None
    first = plain[(0,) * plain.ndim]
    # Most weights differ in their first two elements, or the last one: then nothing else is read.
    if not is_size(float(first)) or bool(plain[(-1,) * plain.ndim] != first):
        return None
    if plain.numel() > 1 and bool((plain[(0,) * (plain.ndim - 1)][:2] != first).any()):
        return None
    return _shortest(first) if bool((plain == first).all()) else None


def is_size(value: float) -> bool:
    """Whether a number is one of a model's, and no bits of memory that was never written."""
    return value == 0 or TINY <= abs(value) <= HUGE


def _shortest(number: torch.Tensor) -> float:
    """The decimal number with the fewest digits that is this one in its dtype."""
    value = float(number)
    for digits in (6, 9):
        short = float(f"{value:.{digits}g}")
        if torch.tensor(short, dtype=number.dtype, device="cpu") == number.cpu():
            return short
    return value


class WeightUpdate(NamedTuple):
    """What trains beside one frozen weight, and its pairs A, B of low rank, B A an update of it."""

    trained: list[nn.Parameter]
    pairs: list[tuple[nn.Parameter, nn.Parameter]]


def updates_of_frozen(model: nn.Module) -> list[WeightUpdate]:
    """The updates of frozen weights.

    Where one frozen weight (out, in) has beside it, at most two modules down, trainable A
    (r, in) and B (out, r), r smaller than both. The weight may be stored (in, out).
    """
    found: list[WeightUpdate] = []
    for module in model.modules():
        matrices = list(_near(module, depth=2))
        frozen = [matrix for matrix in matrices if not matrix.requires_grad]
        if len(frozen) != 1 or len(matrices) < 3:
            continue
        trained = [matrix for matrix in matrices if matrix.requires_grad]
        for outputs, inputs in (frozen[0].shape, frozen[0].shape[::-1]):
            pairs = [
                (first, last)
                for last in trained
                if last.shape[0] == outputs and last.shape[1] < min(outputs, inputs)
                for first in trained
                if tuple(first.shape) == (last.shape[1], inputs) and first is not last
            ]
            found.append(WeightUpdate(trained, pairs))
    return found


def low_rank_outputs(updates: Sequence[WeightUpdate], zeros: Container[int]) -> set[int]:
    """The ids of B in low-rank updates; an update starts at zero by it.

    Where another factor of the update was made zero (its id is among `zeros`), as A may be, or a
    third one, the update starts at zero by that: with two zero factors none would get a gradient.
    """
    found: set[int] = set()
    for trained, pairs in updates:
        last = {id(pair[1]) for pair in pairs}
        if not any(id(tensor) in zeros for tensor in trained if id(tensor) not in last):
            found |= last
    return found


def factors_of_frozen(updates: Sequence[WeightUpdate]) -> set[int]:
    """The ids of A and B in low-rank updates that were made of the frozen weight or its inputs.

    Rows of A or columns of B are then orthogonal, of rank 2 on, which no independent draw gives:
    singular vectors (PiSSA, CorDA, EVA, LoRA-GA) or those of a QR decomposition (OLoRA).
    """
    pairs = (pair for update in updates for pair in update.pairs)
    return {
        id(tensor)
        for first, last in pairs
        if all(map(_is_plain, (first, last)))
        and (_has_orthogonal_rows(first) or _has_orthogonal_rows(last.T))
        for tensor in (first, last)
    }


def _has_orthogonal_rows(matrix: torch.Tensor) -> bool:
    """Up to the rounding of their type; rows of zeros, or a single one, say nothing."""
    rows = matrix.detach().float()
    norms = rows.norm(dim=1)
    if len(rows) < 2 or not bool((norms > 0).all()):
        return False
    cosines = (rows @ rows.T) / norms / norms[:, None]
    limit = max(_ORTHOGONAL, 2 * torch.finfo(matrix.dtype).eps / rows.shape[1] ** 0.5)
    return bool((cosines.fill_diagonal_(0).abs() < limit).all())


def norms_of_frozen(model: nn.Module) -> set[int]:
    """The ids of trainable vectors that hold the norms of the rows or columns of a frozen weight.

    As DoRA's magnitudes do, at most two modules down beside the one frozen weight. By their
    values, so that none is found without memory.
    """
    found: set[int] = set()
    for module in model.modules():
        frozen = [tensor for tensor in _near(module, depth=2) if not tensor.requires_grad]
        if len(frozen) != 1 or not _is_plain(frozen[0]):
            continue
        sizes = frozen[0].shape
        vectors = [tensor for tensor in _near(module, depth=2, axes=1) if tensor.numel() in sizes]
        vectors = [vector for vector in vectors if vector.requires_grad and _is_plain(vector)]
        for axis in (0, 1) if vectors else ():
            norms = frozen[0].detach().float().norm(dim=1 - axis)
            found.update(id(vector) for vector in vectors if _is_near(vector, norms))
    return found


def _is_plain(tensor: torch.Tensor) -> bool:
    plain = type(tensor.detach()) is torch.Tensor and tensor.layout is torch.strided
    return plain and not tensor.is_meta and tensor.is_floating_point()


def _is_near(vector: torch.Tensor, norms: torch.Tensor) -> bool:
    flat = vector.detach().float().flatten().to(norms.device)
    return flat.shape == norms.shape and torch.allclose(flat, norms, rtol=1e-2, atol=1e-6)


def _near(module: nn.Module, depth: int, axes: int = 2) -> Iterator[nn.Parameter]:
    """The parameters of so many axes, but for those of size one, at most `depth` modules down."""
    for tensor in module._parameters.values():
        lazy = tensor is not None and is_lazy(tensor)
        if tensor is None or lazy or tensor.ndim > 2:
            continue
        if (tensor.ndim if axes == 2 else long_axes(tuple(tensor.shape))) == axes:
            yield tensor
    if depth:
        for child in module.children():
            yield from _near(child, depth - 1, axes)
