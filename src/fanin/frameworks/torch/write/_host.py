"""Host: weights drawn on the CPU, those of a model in one call of the kernel.

What the kernel does not draw, such as signs, complex values and maps, is drawn alone (`Slot.fill`).
"""

from collections.abc import Iterator, Sequence

import torch

from fanin.frameworks.torch.write._copy import as_numpy
from fanin.frameworks.torch.write._to_write import ToWrite
from fanin.initializers._base import Elementwise
from fanin.initializers._prepared import Prepared, prepare
from fanin.streams import Array
from fanin.streams._many import Job, fill_many
from fanin.streams._output import raw


def draws_here(item: ToWrite) -> bool:
    """Whether the kernel draws all of it into the memory of this process."""
    initializer = item.initializer
    if not isinstance(initializer, Elementwise) or not item.local.is_cpu:
        return False
    param = item.slot.param
    return prepare(initializer, param.shape, item.axes, param.dtype) is not None


def draw_here(items: Sequence[ToWrite], seed: int) -> None:
    """Write parameters that have memory of this process."""
    for fresh in (True, False):
        some = (item for item in items if item.slot.is_empty is fresh)
        fill_many([job for item in some for job in _jobs(item)], seed, fresh=fresh)
    for item in items:
        if item.slot.padding_row is not None:
            for box, view in item.slot.pieces(item.memory):
                item.slot.clear_padding(view, box)
    # NumPy wrote behind its back
    torch.autograd.graph.increment_version([item.memory for item in items])


def _jobs(item: ToWrite) -> Iterator[Job]:
    """What the kernel is to draw; what is constant is written here."""
    slot = item.slot
    for array, prepared in _pieces(item):
        for where, base, steps, kind, constants, value in prepared:
            out = array if where is None else array[where]
            if value is not None:
                out[...] = value
            else:
                yield out, slot.param.dtype, base, steps, slot.find_numbers(), kind, constants


def _pieces(item: ToWrite) -> Iterator[tuple[Array, Prepared]]:
    """The memory of each box that is written, 16-bit floats as their bits, and its draws."""
    slot, initializer = item.slot, item.initializer
    assert isinstance(initializer, Elementwise)
    how = initializer, slot.param.shape, item.axes, slot.param.dtype
    if slot.is_whole:
        yield raw(as_numpy(item.local)), prepare(*how) or ()
        return
    for box, view in slot.pieces(item.memory):
        yield raw(as_numpy(view)), prepare(*how, box) or ()
