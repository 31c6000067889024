"""Host: weights drawn on the CPU, those of a model in one call of the kernel.

What the kernel does not draw, such as signs, complex values and maps, is drawn alone (`Slot.fill`).
"""

from collections.abc import Iterator, Sequence

import torch

from fanin.frameworks.torch.write._copy import as_numpy
from fanin.frameworks.torch.write._shards import local_tensor
from fanin.frameworks.torch.write._to_write import ToWrite
from fanin.initializers._base import Elementwise
from fanin.initializers._prepared import Prepared, prepare
from fanin.streams import Array
from fanin.streams._many import Job, fill_many
from fanin.streams._output import raw


def draws_here(item: ToWrite) -> bool:
    """Whether the kernel draws all of it into the memory of this process."""
    initializer = item.initializer
    if not isinstance(initializer, Elementwise) or not local_tensor(item.memory).is_cpu:
        return False
    param = item.slot.param
    return prepare(initializer, param.shape, item.axes, param.dtype) is not None


def draw_here(items: Sequence[ToWrite], seed: int) -> None:
    """Write parameters that have memory of this process."""
    fresh: list[Job] = []
    held: list[Job] = []
    for item in items:
        jobs = fresh if item.slot.is_empty else held
        slot = item.slot
        for array, prepared in _pieces(item):
            for draw in prepared:
                out = array if draw.where is None else array[draw.where]
                if draw.value is not None:
                    out[...] = draw.value
                else:
                    how = draw.base, draw.steps, slot.find_numbers(), draw.kind, draw.constants
                    jobs.append((out, slot.param.dtype, *how))
    fill_many(fresh, seed, fresh=True)
    fill_many(held, seed)
    for item in items:
        if item.slot.padding_row is not None:
            for box, view in item.slot.pieces(item.memory):
                item.slot.clear_padding(view, box)
    # NumPy wrote behind its back
    torch.autograd.graph.increment_version([item.memory for item in items])


def _pieces(item: ToWrite) -> Iterator[tuple[Array, Prepared]]:
    """The memory of each box that is written, 16-bit floats as their bits, and its draws."""
    slot, initializer = item.slot, item.initializer
    assert isinstance(initializer, Elementwise)
    how = initializer, slot.param.shape, item.axes, slot.param.dtype
    if slot.is_whole:
        yield raw(as_numpy(local_tensor(item.memory))), prepare(*how) or ()
        return
    for box, view in slot.pieces(item.memory):
        yield raw(as_numpy(view)), prepare(*how, box) or ()
