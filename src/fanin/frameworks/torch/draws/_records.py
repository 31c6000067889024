"""Records: what a module remembers of how its parameters and buffers were made."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fanin.frameworks.torch.draws._replay import MemoryView

RECORDS = "_fanin_empty"  # of a module: what empty_weights noted of its parameters, by attribute
DRAWN = "_fanin_drawn"  # of a module: how its buffers were drawn, by attribute
MARKS = "_fanin_made"  # of a module: what its parameters had been made, by attribute


@dataclass(slots=True)
class Record:
    """What empty_weights knows of a parameter: the device that it would have been on, its value.

    `value` is what the constructor gave it by deterministic operations, None where it was
    left empty or drawn. `drawn` tells how it was drawn, where that can be done again; `joined`,
    whether a buffer was made of the same draws, which fits no others.
    """

    device: torch.device
    value: Tensor | None = None
    drawn: MemoryView | None = None
    joined: bool = False


@dataclass(slots=True)
class Mark:
    """What a parameter had been made when fanin first wrote it, as its module remembers.

    `made` is the one value of all its elements. Of one that was kept: the constructor's `value` if
    it is small, else its hash, or how it was drawn.
    """

    shape: tuple[int, ...] = ()
    made: float | None = None
    value: Tensor | None = None
    drawn: MemoryView | None = None
    digest: str | None = None
    computed: bool = False  # whether the value follows from the program
    norms: bool = False  # whether it is the norms of a frozen weight, which a trained one is not


def find_note(module: nn.Module, attribute: str, tensor: Tensor) -> Tensor:
    """The value that was noted of an empty parameter of a module, where there is one."""
    record = vars(module).get(RECORDS, {}).get(attribute) if tensor.is_meta else None
    return tensor if record is None or record.value is None else record.value


def find_mark(module: nn.Module, attribute: str, tensor: Tensor) -> Mark | None:
    """What a module remembers of this parameter; None of one that fanin never wrote."""
    mark: Mark | None = vars(module).get(MARKS, {}).get(attribute)
    return mark if mark is not None and mark.shape == tuple(tensor.shape) else None
