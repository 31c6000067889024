"""Passing: a recorder that lets tensors go, so that a real run needs little more memory."""

import weakref

import torch
from torch import Tensor

from fanin.frameworks.recording._record import Constant, Entry
from fanin.frameworks.torch.record._record import Recorder


class PassingRecorder(Recorder):
    """Knows every tensor for as long as somebody else holds it."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[int, tuple[weakref.ref[Tensor], Entry]] = {}
        self._places: dict[int, dict[int, weakref.ref[Tensor]]] = {}  # by storage, then by id

    def entry(self, tensor: Tensor) -> Entry:
        """What a tensor is; one that no recorded operation made is a constant."""
        found = self._known.get(id(tensor))
        return found[1] if found and found[0]() is tensor else Constant()

    def knows(self, tensor: Tensor) -> bool:
        found = self._known.get(id(tensor))
        return found is not None and found[0]() is tensor

    def set(self, tensor: Tensor, entry: Entry) -> None:
        key = id(tensor)
        place: int | None = (
            tensor.untyped_storage()._cdata if tensor.layout is torch.strided else None
        )

        def forget(gone: weakref.ref[Tensor]) -> None:
            # Another tensor may have the id by now.
            if key in self._known and self._known[key][0] is gone:
                del self._known[key]
            if place is not None and self._places.get(place, {}).get(key) is gone:
                del self._places[place][key]
                if not self._places[place]:
                    del self._places[place]

        reference = weakref.ref(tensor, forget)
        self._known[key] = reference, entry
        if place is not None:
            self._places.setdefault(place, {})[key] = reference

    def sharing(self, tensor: Tensor) -> list[Tensor]:
        """The other tensors in the memory of this one."""
        if tensor.layout is not torch.strided:
            return []
        held = self._places.get(tensor.untyped_storage()._cdata, {})
        alive = [reference() for reference in list(held.values())]
        return [item for item in alive if item is not None and item is not tensor]
