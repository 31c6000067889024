"""Target: a module that is planned for or written into."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from fanin.errors import FaninError
from fanin.frameworks._adapter import Draw, Written
from fanin.frameworks._buffers import BufferProof
from fanin.frameworks._naming import check_prefix
from fanin.frameworks._stored import HowDrawn, Stored
from fanin.frameworks.torch.observe._measure import TorchProbe
from fanin.frameworks.torch.observe._seen import measure
from fanin.frameworks.torch.runs._alone import pause_collection
from fanin.frameworks.torch.trace._trace import trace
from fanin.frameworks.torch.tree._names import buffer_names
from fanin.frameworks.torch.write._all import write_all
from fanin.frameworks.torch.write._buffers import chance_buffers, find_drawn_buffers
from fanin.frameworks.torch.write._built import prove_buffers, refuse_unwritten
from fanin.frameworks.torch.write._marks import claim, mark
from fanin.frameworks.torch.write._new_buffers import new_buffers
from fanin.frameworks.torch.write._origin import Origins
from fanin.frameworks.torch.write._restart import restart
from fanin.frameworks.torch.write._slot import Slot
from fanin.frameworks.torch.write._slots import refuse_sharded, slots
from fanin.frameworks.torch.write._stored import list_stored
from fanin.frameworks.torch.write._twins import TWINS
from fanin.graph import Graph
from fanin.initializers._computed import Computed


class Target:
    """What `fanin.frameworks._adapter.Target` says, of a torch.nn.Module."""

    @pause_collection()
    def __init__(
        self,
        model: nn.Module,
        rename: Mapping[str, str] | None,
        shards: Mapping[str, object] | None,
        device: str | torch.device | None,
        prefix: str,
    ) -> None:
        self._model, self._rename, self._device = model, rename, device
        self.prefix = check_prefix(prefix)
        found = slots(model, rename, shards, device, prefix)
        self.slots: dict[str, Slot] = {slot.param.name: slot for slot in found}

    @cached_property
    def _origins(self) -> Origins:
        return Origins(self._model)

    @property
    def library(self) -> str:
        """Whose layers store the weights."""
        return "torch"

    @property
    def notes(self) -> Sequence[str]:
        """Nothing that its rows do not tell."""
        return ()

    def trace(self, inputs: object) -> Graph:
        """The graph of one run on fake tensors."""
        refuse_sharded(self.slots.values())
        return trace(self._model, inputs, self._rename)

    def measure(self, inputs: object, graph: Graph) -> Graph:
        """The graph with what a run in train mode shows of its nodes."""
        return measure(self._model, inputs, graph, self._rename)

    def probe(self, inputs: object, seed: int) -> TorchProbe:
        """Copies of the weights, and a batch."""
        refuse_sharded(self.slots.values())
        return TorchProbe(self._model, inputs, seed, self._rename, self.prefix)

    def find_origin(self, name: str) -> None:
        """Build the module of a parameter once more, or those around it."""
        self._origins.find(self.slots[name])

    def is_untouched(self, name: str) -> bool:
        """Build the module of a frozen parameter once more, or those around it, and compare."""
        return self._origins.is_untouched(self.slots[name])

    def chance_buffers(self) -> Sequence[str]:
        """Buffers whose values look drawn."""
        return chance_buffers(self._model)

    def prove_buffers(self, build: Callable[[], Any] | None) -> Sequence[BufferProof]:
        """Every buffer beside what its constructor computes when it runs once more."""
        return prove_buffers(self._model, build)

    def find_drawn_buffers(self) -> Sequence[str]:
        """Buffers that hold what their constructors drew."""
        return find_drawn_buffers(self._model)

    def buffer_names(self) -> Iterable[str]:
        """Every buffer by its canonical name."""
        return buffer_names(self._model)

    def list_stored(
        self, choices: Mapping[str, HowDrawn], seed: int
    ) -> tuple[list[Stored], dict[str, str]]:
        """The tensors of the model's state_dict, and names of the same."""
        return list_stored(self._model, self.slots, choices, seed)

    @pause_collection()
    def write(
        self, draws: Mapping[str, Draw], seed: int, buffers: Mapping[str, Tensor] | None
    ) -> Written:
        """Memory of all comes first, what is put into the model last."""
        items = [(self.slots[name], draw.initializer, draw.axes) for name, draw in draws.items()]
        copies = {name: draw.like for name, draw in draws.items() if draw.like is not None}
        for name, source in copies.items():
            if self.slots[name].shard != self.slots[source].shard:
                raise FaninError(
                    f"{name} of shape {self.slots[name].param.shape} is a copy of {source}, and "
                    "this process holds other parts of both. Shard them alike."
                )
        same = TWINS.find(items, seed)
        made = new_buffers(self._model, self._device, buffers)
        refuse_unwritten(self._model, buffers or {})
        write_all(items, seed, copies)
        made.put()
        TWINS.remember(items, seed)
        held, drawn = [], []
        for name, draw in draws.items():
            slot, own = self.slots[name], draw.asked or draw.like is not None
            mark(slot, kept=draw.initializer is None and not own)
            if draw.initializer is not None or draw.like is not None:
                claim(slot)
            if draw.initializer is None and draw.asked:
                held.append(slot)
            if not (slot.part or isinstance(draw.initializer, Computed | None)):
                drawn.append(slot)
        moved = restart(self._model, drawn, held, seed)
        return Written(same, moved)


def target(
    model: nn.Module,
    *,
    rename: Mapping[str, str] | None = None,
    shards: Mapping[str, object] | None = None,
    device: str | torch.device | None = None,
    prefix: str = "",
) -> Target:
    """A module to plan for or to write into."""
    return Target(model, rename, shards, device, prefix)
