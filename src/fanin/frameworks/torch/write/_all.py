"""All: every parameter of a model is written, whatever memory holds it."""

from collections.abc import Iterable, Mapping

import torch

from fanin.axes import Axes
from fanin.frameworks.torch.write._device import draw_there, draws_there, has_kernels
from fanin.frameworks.torch.write._host import draw_here, draws_here
from fanin.frameworks.torch.write._shards import local_tensor
from fanin.frameworks.torch.write._slot import Slot
from fanin.frameworks.torch.write._to_write import ToWrite
from fanin.initializers import Initializer


def write_all(
    items: Iterable[tuple[Slot, Initializer | None, Axes]], seed: int, copies: Mapping[str, str]
) -> None:
    """Write every parameter, rehearsed before; all of a GPU at once, and all of the CPU.

    `copies` get the values of others, by name, when these have theirs.

    Empty ones get all their memory before any is drawn, and are put into the model at the end:
    FaninError names the parameter for which there is none, and the model is as it was.
    """
    known = []
    for slot, initializer, axes in items:
        memory = slot.memory()
        local = local_tensor(memory)
        known.append(ToWrite(slot, initializer, axes, memory, local, local.device))
    there: dict[torch.device, list[ToWrite]] = {}
    here, alone = [], []
    kernels = {device: has_kernels(device) for device in {item.device for item in known}}
    for item in known:
        if kernels[item.device] and draws_there(item):
            there.setdefault(item.device, []).append(item)
        elif draws_here(item):
            here.append(item)
        elif item.slot.param.name not in copies:
            alone.append(item)
    for group in there.values():
        draw_there(group, seed)
    draw_here(here, seed)
    for item in alone:
        item.slot.fill(item.memory, item.initializer, seed, item.axes)
    if copies:
        memories = {item.slot.param.name: item.local for item in known}
        with torch.no_grad():
            for name, source in copies.items():
                memories[name].copy_(memories[source])
    for item in known:
        item.slot.occupy(item.memory)
