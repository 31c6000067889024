"""Copy: memory of tensors as NumPy arrays, and draws that the host makes for a device."""

import ctypes
import sys
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fanin.streams import Array

_HUGE_PAGE = 14  # MADV_HUGEPAGE
_PAGE = 4096
_WORTH = 1 << 22  # bytes


def as_numpy(tensor: Tensor) -> Array:
    """The memory of a CPU tensor; bfloat16, which NumPy lacks, as uint16 bits."""
    plain = tensor.detach()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(np.uint16)
    array: Array = plain.numpy()
    return array


def copy_from_host(target: Tensor, draw: Callable[[Array], object]) -> None:
    """Let `draw` fill host memory of the target's shape, and copy it to the target's device."""
    pinned = target.device.type == "cuda"
    host = torch.empty(target.shape, dtype=target.dtype, pin_memory=pinned)
    draw(as_numpy(host))
    target.copy_(host)


def use_huge_pages(tensor: Tensor) -> None:
    """Let the memory of a new CPU tensor come in few large pages, as NumPy does for its arrays.

    One fault for each page of 4 KiB would take as long as the draw. Where the system has no such
    advice, nothing changes.
    """
    size = tensor.numel() * tensor.element_size()
    if tensor.device.type != "cpu" or sys.platform != "linux" or size < _WORTH:
        return
    first = -(-tensor.data_ptr() // _PAGE) * _PAGE
    length = (tensor.data_ptr() + size) // _PAGE * _PAGE - first
    ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), _HUGE_PAGE)
