"""Copy: memory of tensors as NumPy arrays, and draws that the host makes for a device."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from fanin.streams import Array


def as_numpy(tensor: Tensor) -> Array:
    """The memory of a CPU tensor; bfloat16, which NumPy lacks, as uint16 bits."""
    plain = tensor.detach()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(np.uint16)
    array: Array = plain.numpy()
    return array


def is_plain(tensor: Tensor) -> bool:
    """Whether a dense tensor of the CPU is known to be fit to be written, without a closer look."""
    own = type(tensor) is nn.Parameter or type(tensor) is Tensor
    lies_plain = own and tensor.is_contiguous() and not tensor.is_neg() and not tensor.is_complex()
    return lies_plain and tensor.data_ptr() % tensor.element_size() == 0


def copy_from_host(target: Tensor, draw: Callable[[Array], object]) -> None:
    """Let `draw` fill host memory of the target's shape, and copy it to the target's device."""
    pinned = target.device.type == "cuda"
    host = torch.empty(target.shape, dtype=target.dtype, device="cpu", pin_memory=pinned)
    draw(as_numpy(host))
    target.copy_(host)
