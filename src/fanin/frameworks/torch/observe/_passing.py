"""Passing: tensors are let go, so that a real run needs little more memory."""

import weakref

import torch
from torch import Tensor

from fanin.frameworks.recording._record import TensorEntry


class PassingTensors:
    """Every tensor of a run with what it is, for as long as somebody else holds it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Tensor], TensorEntry]] = {}
        self._places: dict[int, dict[int, weakref.ref[Tensor]]] = {}  # by storage, then by id

    def find(self, tensor: Tensor) -> TensorEntry | None:
        """What a tensor is; None of one that no recorded operation made."""
        found = self._known.get(id(tensor))
        return found[1] if found and found[0]() is tensor else None

    def put(self, tensor: Tensor, entry: TensorEntry) -> None:
        """Say what a tensor is."""
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

    def sharing(self, storage: int) -> list[Tensor]:
        """The tensors that lie in a storage, and live."""
        held = self._places.get(storage, {})
        alive = [reference() for reference in list(held.values())]
        return [item for item in alive if item is not None]
