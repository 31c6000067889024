"""Bytes: what the bits of a tensor's values are, in row-major order."""

from collections.abc import Iterator

import torch
from torch import Tensor

from fanin.frameworks._tiles import tiles


def row_major(tensor: Tensor) -> Iterator[bytes]:
    """The bytes of a tensor's values in row-major order, in pieces."""
    for tile in tiles(tuple(tensor.shape)):
        yield bytes_of(tensor[tile])


def agree(drawn: Tensor, held: Tensor, tolerance: float) -> bool:
    """Whether values have the same bits, or are near where a tolerance is promised."""
    if tolerance == 0:
        return bytes_of(drawn) == bytes_of(held)
    return bool(((drawn.double() - held.detach().cpu().double()).abs() <= tolerance).all())


def bytes_of(tensor: Tensor) -> bytes:
    """All of them at once."""
    plain = tensor.detach().resolve_conj().resolve_neg().cpu().contiguous()
    row = plain.as_strided((plain.numel(),), (1,))  # an axis of one element may have any stride
    return row.view(torch.uint8).numpy().tobytes()
