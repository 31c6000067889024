"""Vacancy: a parameter that has no memory yet, and the places where it will stand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from fanin.errors import FaninError, one_line, quote
from fanin.frameworks.torch.draws._records import RECORDS, Record
from fanin.frameworks.torch.tree._offloaded import elsewhere
from fanin.frameworks.torch.write._shards import local_tensor

Places = tuple[tuple[nn.Module, str], ...]


@dataclass(frozen=True, slots=True)
class Vacancy:
    """The modules and attributes that name one empty parameter, and its record."""

    places: Places
    record: Record = field(default_factory=lambda: Record(torch.device("cpu")))
    offloaded: bool = False  # its values are elsewhere, and a hook brings them for every call

    def refuse_reading(self, name: str) -> None:
        """Raise FaninError where the values are not here, but in a hook."""
        if self.offloaded:
            raise elsewhere(name, "there are no values to compare here", "Compare")

    def check(self, name: str) -> None:
        """Raise FaninError where nothing can be made on the device, or nobody would see it."""
        if self.offloaded:
            raise elsewhere(name, "nothing written here has an effect", "Initialize")
        try:
            torch.empty(0, device=self.record.device)
        except (RuntimeError, AssertionError) as error:  # both are torch's ways to say so
            raise FaninError(
                f"weights cannot be made on device {str(self.record.device)!r}: {one_line(error)}. "
                "Pass another device=."
            ) from None

    def make(self, empty: Tensor) -> nn.Parameter:
        """A parameter with memory, of no values yet; other marks are kept."""
        local = torch.empty_like(local_tensor(empty), device=self.record.device)
        made = nn.Parameter(_distribute(local, empty), empty.requires_grad)
        for name, value in vars(empty).items():
            setattr(made, name, value)
        return made

    def put(self, made: nn.Parameter) -> None:
        """Put the parameter in all its places."""
        for module, attribute in self.places:
            setattr(module, attribute, made)
            _forget(module, attribute)


def _distribute(local: Tensor, like: Tensor) -> Tensor:
    if local_tensor(like) is like:
        return local
    from torch.distributed.tensor import DTensor

    made: Tensor = DTensor.from_local(
        local,
        like.device_mesh,  # type: ignore[attr-defined]
        like.placements,  # type: ignore[attr-defined]
        run_check=False,
        shape=like.shape,
        stride=like.stride(),
    )
    return made


def _forget(module: nn.Module, attribute: str) -> None:
    records = vars(module).get(RECORDS, {})
    records.pop(attribute, None)
    if not records:
        vars(module).pop(RECORDS, None)


def vacancy(
    tensor: Tensor, places: Places, device: str | torch.device | None, elsewhere: bool = False
) -> Vacancy | None:
    """For a parameter on the meta device; None for one that has memory.

    It will be made on `device`, by default where its constructor would have put it, or on the
    CPU where that was the meta device itself.
    """
    if not tensor.is_meta:
        return None
    records = [vars(module).get(RECORDS, {}).get(attribute) for module, attribute in places]
    noted = next((record for record in records if record is not None), None)
    record = noted or Record(torch.device("cpu"))
    if device is not None:
        record = replace(record, device=device_of(device))
    return Vacancy(places, record, elsewhere)


def device_of(device: str | torch.device) -> torch.device:
    """The device that a user names, which must hold values."""
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError):
        raise FaninError(
            f"device is {quote(device)}; give one that torch knows, such as 'cpu'."
        ) from None
    if found.type == "meta":
        raise FaninError("device is 'meta', which holds no values; give another, such as 'cpu'.")
    return found


@contextmanager
def room_for(name: str, tensor: Tensor, device: torch.device) -> Iterator[None]:
    """FaninError that names a tensor for which a device has no memory, while nothing is changed."""
    try:
        yield
    except RuntimeError as error:
        # Of the CPU it is no class of its own.
        if not isinstance(error, torch.OutOfMemoryError) and "alloc" not in str(error):
            raise
        dtype = str(tensor.dtype).removeprefix("torch.")
        raise FaninError(
            f"{device} has no room for {name} of shape {tuple(tensor.shape)} ({dtype}); the model "
            "is as it was. Free memory there, shard the model, or pass another device=."
        ) from None
