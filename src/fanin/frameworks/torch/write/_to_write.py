"""To write: a slot, what goes into it, and its memory."""

from typing import NamedTuple

import torch
from torch import Tensor

from fanin.axes import Axes
from fanin.frameworks.torch.write._slot import Slot
from fanin.initializers import Initializer


class ToWrite(NamedTuple):
    """A slot, the initializer of its values, None for those that it keeps, the axes, the memory.

    `local` is what this process holds of the memory.
    """

    slot: Slot
    initializer: Initializer | None
    axes: Axes
    memory: Tensor  # which `Slot.memory` gave
    local: Tensor
    device: torch.device  # where the values are, or will be
