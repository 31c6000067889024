"""Recorder: the nodes seen so far, and what each tensor of the run is."""

from typing import Any, Protocol

import torch
from torch import Tensor

from fanin.frameworks.recording import _record
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor


class Tensors(Protocol):
    """The tensors of a run by their identity, each with what it is."""

    def find(self, tensor: Tensor) -> TensorEntry | None:
        """What a tensor is; None of one that no recorded operation made."""

    def put(self, tensor: Tensor, entry: TensorEntry) -> None:
        """Say what a tensor is."""

    def sharing(self, storage: int) -> list[Tensor]:
        """The tensors that lie in a storage."""


class HeldTensors:
    """Every tensor of a run with what it is; none is let go, so that its id stays taken."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Tensor, TensorEntry]] = {}
        self._places: dict[int, dict[int, Tensor]] = {}  # by storage, then by id

    def find(self, tensor: Tensor) -> TensorEntry | None:
        """What a tensor is; None of one that no recorded operation made."""
        found = self._known.get(id(tensor))
        return found[1] if found else None

    def put(self, tensor: Tensor, entry: TensorEntry) -> None:
        """Say what a tensor is."""
        if id(tensor) not in self._known and tensor.layout is torch.strided:
            key = tensor.untyped_storage()._cdata
            self._places.setdefault(key, {})[id(tensor)] = tensor
        self._known[id(tensor)] = (tensor, entry)

    def sharing(self, storage: int) -> list[Tensor]:
        """The tensors that lie in a storage."""
        return list(self._places.get(storage, {}).values())


class Recorder(_record.Recorder):
    """The record of a run of torch: what each of its `tensors` is, and the nodes seen so far."""

    def __init__(self, tensors: Tensors | None = None) -> None:
        super().__init__()
        self._tensors = HeldTensors() if tensors is None else tensors

    def entry(self, tensor: Tensor) -> TensorEntry:
        """What a tensor is; one that no recorded operation made is a constant."""
        found = self._tensors.find(tensor)
        return ConstantTensor() if found is None else found

    def knows(self, tensor: Tensor) -> bool:
        return self._tensors.find(tensor) is not None

    def set(self, tensor: Tensor, entry: TensorEntry) -> None:
        self._tensors.put(tensor, entry)

    def sharing(self, tensor: Tensor) -> list[Tensor]:
        """The other tensors in the memory of this one."""
        if tensor.layout is not torch.strided:
            return []
        storage = tensor.untyped_storage()._cdata
        return [other for other in self._tensors.sharing(storage) if other is not tensor]

    def activation(self, tensor: Tensor) -> ActivationTensor:
        """The node of a tensor; a parameter or a constant gets one of its own."""
        entry = self.entry(tensor)
        if isinstance(entry, ActivationTensor):
            return entry
        if isinstance(entry, ParameterTensor):
            return self.parameter(entry, tensor.shape)
        return self.buffer(entry, tensor.shape)

    def moments_of(self, value: Any) -> tuple[float, float | None]:
        """The mean of known values, 0 of complex ones, and their mean square, None of none."""
        if not value.numel():
            return 0.0, None
        wide = value.to(torch.complex128 if value.is_complex() else torch.float64)
        mean = 0.0 if value.is_complex() else float(wide.mean())
        return mean, float((wide.abs() ** 2).mean())
