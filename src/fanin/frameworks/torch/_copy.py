"""Copy: memory of tensors as NumPy arrays, and draws that the host makes for a device."""

import ctypes
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from fanin.streams import Array
from fanin.streams._backends import check_threads

_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE of Linux 5.14
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


def prefault(tensor: Tensor) -> None:
    """Map the memory of a new CPU tensor in few system calls, as many at a time as threads draw.

    One fault for each page would take longer than the draw. Where the system cannot, they come.
    """
    size = tensor.numel() * tensor.element_size()
    if tensor.device.type != "cpu" or sys.platform != "linux" or size < _WORTH:
        return
    threads = check_threads(None, tensor.numel())
    first = -(-tensor.data_ptr() // _PAGE)
    pages = (tensor.data_ptr() + size) // _PAGE - first
    step = -(-pages // threads)
    madvise = ctypes.CDLL(None).madvise  # which lets other threads run

    def populate(start: int) -> None:
        length = min(step, pages - start) * _PAGE
        where = ctypes.c_void_p((first + start) * _PAGE)
        madvise(where, ctypes.c_size_t(length), _POPULATE_WRITE)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(populate, range(0, pages, step)))
