"""Recorder: the nodes seen so far, and what each tensor of the run is."""

from typing import Any

import torch
from torch import Tensor

from fanin.frameworks.recording import _record
from fanin.frameworks.recording._record import Activation, Constant, Entry
from fanin.frameworks.recording._weights import Weight


class Recorder(_record.Recorder):
    """Knows every tensor of the run by its identity."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[int, tuple[Tensor, Entry]] = {}  # the tensor keeps its id taken
        self._sharing: dict[int, dict[int, Tensor]] = {}  # tensors of one storage

    def entry(self, tensor: Tensor) -> Entry:
        """What a tensor is; one that no recorded operation made is a constant."""
        found = self._entries.get(id(tensor))
        return found[1] if found else Constant()

    def knows(self, tensor: Tensor) -> bool:
        return id(tensor) in self._entries

    def set(self, tensor: Tensor, entry: Entry) -> None:
        if id(tensor) not in self._entries and tensor.layout is torch.strided:
            key = tensor.untyped_storage()._cdata
            self._sharing.setdefault(key, {})[id(tensor)] = tensor
        self._entries[id(tensor)] = (tensor, entry)

    def sharing(self, tensor: Tensor) -> list[Tensor]:
        """The other tensors in the memory of this one."""
        if tensor.layout is not torch.strided:
            return []
        others = self._sharing.get(tensor.untyped_storage()._cdata, {})
        return [other for other in others.values() if other is not tensor]

    def activation(self, tensor: Tensor) -> Activation:
        """The node of a tensor; a parameter or a constant gets one of its own."""
        entry = self.entry(tensor)
        if isinstance(entry, Activation):
            return entry
        if isinstance(entry, Weight):
            return self.parameter(entry, tensor.shape)
        return self.buffer(entry, tensor.shape)

    def moments_of(self, value: Any) -> tuple[float, float | None]:
        """The mean of known values, 0 of complex ones, and their mean square, None of none."""
        if not value.numel():
            return 0.0, None
        wide = value.to(torch.complex128 if value.is_complex() else torch.float64)
        mean = 0.0 if value.is_complex() else float(wide.mean())
        return mean, float((wide.abs() ** 2).mean())
