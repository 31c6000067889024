"""Look: what is kept of a tensor before it goes, computed where the tensor is."""

import math

import torch
from torch import Tensor

from fanin.frameworks._observation import Look
from fanin.frameworks.observing._numbers import CLOSE, PAIRS, SAME, TINY
from fanin.frameworks.torch.runs._tensors import as_reals, sparse_values

_HEADS = 32  # of attention, of whose logits the spread is taken


def norm(tensor: Tensor) -> float:
    """The Euclidean norm of all values, summed in single precision where that holds it."""
    flat = as_reals(sparse_values(tensor.detach()))
    if not flat.numel():
        return 0.0
    wide = torch.float64 if flat.dtype == torch.float64 else torch.float32
    found = float(torch.linalg.vector_norm(flat, dtype=wide))
    if math.isnan(found) or TINY * math.sqrt(tensor.numel()) < found < math.inf:
        return found
    return float(torch.linalg.vector_norm(flat, dtype=torch.float64))


def rms(tensor: Tensor) -> float:
    """The root mean square of all values; of complex ones, of their absolute values."""
    return norm(tensor) / math.sqrt(tensor.numel())


def is_constant(tensor: Tensor) -> bool:
    """Whether the slices of the first dimension, of which there are several, are the same."""
    values = tensor.detach()
    if values.dim() < 2 or len(values) < 2:
        return False
    return bool((values - values[:1]).abs().max() <= SAME * values.abs().max())


def look(tensor: Tensor) -> Look:
    """The mean of all values, and the mean cosine between the first dimension's slices."""
    values = as_reals(tensor.detach())
    mean = float(values.mean(dtype=torch.float32))
    count = min(len(values), PAIRS) if tensor.dim() > 1 else 0
    if count < 2:
        return Look(mean, None)
    rows = values[:count].reshape(count, -1).float()
    sizes = torch.linalg.vector_norm(rows, dim=1).double()
    some = sizes > 0
    count = int(some.sum())
    if count < 2 or not bool(sizes.isfinite().all()):
        return Look(mean, None)
    weights = torch.where(some, 1 / sizes, 0.0).float()
    together = (rows.T @ weights).double()
    apart = 1 - float(together.square().sum()) / count**2
    if apart < CLOSE:  # the difference lost its digits
        units = rows[some].double() * weights[some, None].double()
        apart = float((units - units.mean(0)).square().sum()) / count
    return Look(mean, 1 - apart * count / (count - 1))


def silent(tensor: Tensor, axis: int) -> float:
    """The share of units, the places along `axis`, that are 0 everywhere else."""
    values = tensor.detach()
    others = [dim for dim in range(values.dim()) if dim != axis % values.dim()]
    peaks = values.amax(others) if others else values
    return float((peaks <= 0).float().mean())


def share_outside(tensor: Tensor, low: float, high: float) -> float:
    """The share of values that are not between the two."""
    values = tensor.detach()
    return float(((values <= low) | (values >= high)).float().mean())


def spread_before(weights: Tensor, dim: int) -> float:
    """The standard deviation of the logits of one softmax, over what it did not leave out.

    Of `weights`, its result: their logarithms are the logits, but for a number for each row.
    """
    values = weights.detach().float()
    kept = values > 0
    logs = torch.where(kept, values, 1.0).log()
    count = kept.sum(dim, keepdim=True)
    apart = torch.where(kept, logs - logs.sum(dim, keepdim=True) / count.clamp(min=1), 0.0)
    rows = count > 1
    total = int(rows.sum())
    if not total:
        return 0.0
    each = apart.square().sum(dim, keepdim=True) / count.clamp(min=1)
    return math.sqrt(max(float(each[rows].mean()), 0.0))


def spread_of_products(query: Tensor, key: Tensor, factor: float | None) -> float:
    """The same for the products of some queries with all keys; 0 where their heads differ."""
    if query.shape[:-2] != key.shape[:-2] or query.dim() < 3:
        return 0.0
    some = query.detach().flatten(0, -3)[:_HEADS, :PAIRS].float()
    products = some @ key.detach().flatten(0, -3)[:_HEADS].float().transpose(-1, -2)
    scale = query.shape[-1] ** -0.5 if factor is None else factor
    if products.shape[-1] < 2:
        return 0.0
    return scale * math.sqrt(float(products.var(-1, correction=0).mean()))
