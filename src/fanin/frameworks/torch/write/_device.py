"""Device: weights drawn where they lie, by the kernels of `streams._triton` in one call a device.

What those cannot draw, such as signs and complex values, the CPU draws (`Slot.write`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fanin.frameworks.torch.write._to_write import ToWrite
from fanin.initializers._base import Elementwise, Request
from fanin.initializers._orthogonal import Orthogonal
from fanin.streams import Normal
from fanin.streams._address import region
from fanin.streams._inversion import HostDrawn
from fanin.streams._triton import DrawJob, draw_many, kernels_draw

_DRAWN = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def has_kernels(device: torch.device) -> bool:
    """Whether `draw_there` writes what lies on a device."""
    return device.type == "cuda" or kernels_draw(device)


def draws_there(item: ToWrite) -> bool:
    """Whether the kernels of its device draw all of it."""
    if item.slot.tensor.dtype not in _DRAWN:
        return False
    if isinstance(item.initializer, Elementwise):
        drawn = item.initializer.draws(_request(item, seed=0))
        return not any(isinstance(each.distribution, HostDrawn) for each in drawn)
    return type(item.initializer) is Orthogonal and _maps_of(item) is not None


def draw_there(items: Sequence[ToWrite], seed: int) -> None:
    """Write parameters of one device, in one call of its kernels."""
    with torch.no_grad():
        draw_many([job for item in items for job in _jobs(item, seed)])
        for item in items:
            if isinstance(item.initializer, Orthogonal):
                _draw_orthogonal(item, seed)
            for box, view in item.slot.pieces(item.memory):
                item.slot.clear_padding(view, box)


def _jobs(item: ToWrite, seed: int) -> Iterable[DrawJob]:
    if not isinstance(item.initializer, Elementwise):
        return
    for box, view in item.slot.pieces(item.memory):
        request = replace(_request(item, seed), index=box)
        for draw in item.initializer.draws(request):
            target = view[draw.where]
            yield DrawJob(target, draw.distribution, seed, item.slot.stream, draw.region)


def _request(item: ToWrite, seed: int) -> Request:
    param = item.slot.param
    return Request(param.shape, item.axes, seed, item.slot.stream, param.dtype, None, None, None)


def _maps_of(item: ToWrite) -> tuple[int, int, int] | None:
    """The (maps, rows, columns) that a whole weight is as it lies in memory; None for another."""
    axes, shape = item.axes, item.slot.param.shape
    blocks = len(axes.blocks) or 1
    lies_so = axes.order() is None and not axes.transposed and len(set(axes.blocks)) <= 1
    if item.slot.shard is not None or not lies_so or not {"out", "in"} <= set(axes.roles):
        return None
    if (axes.groups > 1 and blocks > 1) or not all(shape):
        return None
    stacks = math.prod(shape[: axes.axis("out")])
    rows = axes.size("out", shape) // (axes.groups * blocks)
    return (
        stacks * axes.groups * blocks,
        rows,
        math.prod(shape) // (stacks * axes.size("out", shape)),
    )


def _draw_orthogonal(item: ToWrite, seed: int) -> None:
    """`orthogonal` from normal values that are drawn on the device, within its tolerance."""
    initializer, maps, param = item.initializer, _maps_of(item), item.slot.param
    assert isinstance(initializer, Orthogonal)
    assert maps is not None
    dtype = item.slot.tensor.dtype
    wide = dtype if dtype == torch.float64 else torch.float32
    drawn = torch.empty(param.shape, dtype=wide, device=item.device)
    draw_many([DrawJob(drawn, Normal(0.0, 1.0), seed, item.slot.stream, region(param.shape))])
    matrices = drawn.reshape(maps)
    tall = maps[1] >= maps[2]
    found = orthonormal(matrices if tall else matrices.mT, initializer.gain)
    item.local.copy_((found if tall else found.mT).reshape(param.shape))


def orthonormal(x: Tensor, gain: float) -> Tensor:
    """What `initializers._householder.orthonormalize` makes of (..., m, n), m >= n, on a device.

    The reflections are applied by the device's own orgqr, the second half of a QR decomposition.
    """
    diagonal, below = x.diagonal(dim1=-2, dim2=-1), x.tril(-1)
    signs = torch.copysign(torch.ones_like(diagonal), diagonal)
    lengths = (below.square().sum(-2) + diagonal.square()).sqrt()
    vectors = below / (diagonal + signs * lengths).unsqueeze(-2)  # their heads are one
    factors = 2 / (1 + vectors.square().sum(-2))
    reflected: Tensor = torch.linalg.householder_product(vectors, factors)
    return reflected * (-gain * signs).unsqueeze(-2)
