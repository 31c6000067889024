"""Built: buffers beside those that a constructor computes when it runs once more."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fanin.errors import FaninError, an
from fanin.frameworks._buffers import BufferProof
from fanin.frameworks.torch.draws._empty import empty_weights
from fanin.frameworks.torch.draws._records import DRAWN
from fanin.frameworks.torch.tree._names import BufferPlace, buffer_places
from fanin.frameworks.torch.write._bytes import row_major
from fanin.frameworks.torch.write._new_buffers import spectral_buffers
from fanin.frameworks.torch.write._origin import build_again, knows_arguments
from fanin.frameworks.torch.write._shards import local_tensor, shard_of
from fanin.frameworks.torch.write._unwritten import find_patterns


class Fresh(NamedTuple):
    """What a constructor makes of a buffer; None where it draws it, or is not known.

    `sure` where the model's own is to be that: it was built with the same arguments, and no
    checkpoint brings another.
    """

    value: Tensor | None
    told: str
    sure: bool = False


def prove_buffers(model: nn.Module, build: Callable[[], Any] | None) -> list[BufferProof]:
    """Every buffer with what it is, and what is wrong with it.

    `build` makes the model once more; without it the modules that have buffers are built alone,
    where their arguments are known from their attributes.
    """
    builder = _Reconstruction(None if build is None else _build_named(build))
    return [_prove(held, builder) for held in buffer_places(model)]


def _build_named(build: Callable[[], Any]) -> dict[str, BufferPlace]:
    if not callable(build):
        raise FaninError(
            f"build is {an(type(build).__name__)}; give the function that makes the model."
        )
    with empty_weights(), torch.no_grad(), torch.random.fork_rng([]):
        made = build()
    if not isinstance(made, nn.Module):
        raise FaninError(f"build made {an(type(made).__name__)}; it must make a Module.")
    return {held.name: held for held in buffer_places(made)}


@dataclass
class _Reconstruction:
    """What constructors make, each built once."""

    given: dict[str, BufferPlace] | None
    made: dict[tuple[int, torch.dtype | None], nn.Module | None] = field(default_factory=dict)

    def fresh(self, held: BufferPlace, dtype: torch.dtype | None = None) -> Fresh:
        """What the constructor makes of a buffer, where real numbers have this type by default."""
        if self.given is not None:
            its = self.given.get(held.name)
            if its is None:
                return Fresh(None, "buffer, which build does not make")
            return _of(its.module, its.attribute, sure=True)
        key = (id(held.module), dtype)
        if key not in self.made:
            self.made[key] = build_again(held.module, dtype=dtype, converted=True)
        again = self.made[key]
        if again is None:
            return Fresh(None, "buffer")
        persistent = held.attribute not in held.module._non_persistent_buffers_set
        return _of(again, held.attribute, not persistent and knows_arguments(held.module))


def _of(module: nn.Module, attribute: str, sure: bool) -> Fresh:
    if attribute in vars(module).get(DRAWN, {}):
        return Fresh(None, "buffer, drawn by its constructor")
    return Fresh(module._buffers.get(attribute), "buffer", sure)


def _prove(held: BufferPlace, builder: _Reconstruction) -> BufferProof:
    name, module, attribute, buffer = held
    if buffer.is_meta:
        return BufferProof(name, "buffer", "NEVER WRITTEN: it has no memory")
    odd = find_patterns([local_tensor(buffer)])
    unwritten = f"NEVER WRITTEN: {odd}" if odd else ""
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return BufferProof(name, "buffer, running statistics", unwritten, _line(held))
    if attribute in spectral_buffers(module):
        return BufferProof(name, "buffer, fitted to its weight", unwritten, _line(held))
    fresh = builder.fresh(held)
    if fresh.value is None or fresh.value.is_meta:
        return BufferProof(name, fresh.told, unwritten, _line(held))
    told = find_difference(held, fresh.value)
    if told and builder.given is None and buffer.dtype != fresh.value.dtype:
        other = builder.fresh(held, buffer.dtype).value  # built so, and not converted
        told = told if other is None else find_difference(held, other)
    if not told:
        return BufferProof(name, "buffer, as its constructor computes it", "", _line(held, fresh))
    if not fresh.sure:
        return BufferProof(name, f"buffer, not proved: {told}", unwritten, _line(held))
    verdict = "NEVER WRITTEN" if odd else "NOT AS BUILT"
    return BufferProof(name, "buffer", f"{verdict}: {told}", _line(held))


def find_difference(held: BufferPlace, expected: Tensor) -> str:
    """The first element that differs from what was computed; "" for none."""
    name, _, _, buffer = held
    if buffer.shape != expected.shape:
        return f"it has shape {tuple(buffer.shape)}, computed {tuple(expected.shape)}"
    shard, local = shard_of(name, buffer), local_tensor(buffer).detach()
    whole = (tuple(slice(0, size) for size in local.shape), local)
    for box, view in [whole] if shard is None else shard.pieces(local):
        mine = view.cpu().contiguous()
        computed = expected[box].to("cpu", buffer.dtype).contiguous()
        rows = (mine.numel(), -1) if mine.numel() else (0, 1)
        bits = [each.reshape(-1).view(torch.uint8).reshape(rows) for each in (mine, computed)]
        unlike = (bits[0] != bits[1]).any(1)
        if unlike.any():
            at = torch.unravel_index(unlike.nonzero()[0, 0], mine.shape)
            place = tuple(
                int(i) * (side.step or 1) + side.start for i, side in zip(at, box, strict=True)
            )
            values = (each.reshape(-1)[unlike][0].item() for each in (mine, computed))
            told, right = (f"{each:.9g}" if type(each) is float else str(each) for each in values)
            return f"element {place} is {told}, computed {right}"
    return ""


def _line(held: BufferPlace, fresh: Fresh | None = None) -> str:
    """What a hash over all buffers is made of; of a part the whole, where it is proved."""
    name, _, _, buffer = held
    value = local_tensor(buffer)
    if value.shape != buffer.shape:
        if fresh is None or fresh.value is None:
            return ""
        value = fresh.value.to(buffer.dtype)
    digest = hashlib.sha256()
    for piece in row_major(value):
        digest.update(piece)
    dtype = str(buffer.dtype).removeprefix("torch.")
    return json.dumps([name, dtype, list(buffer.shape), digest.hexdigest()], ensure_ascii=False)


def refuse_unwritten(model: nn.Module, given: Mapping[str, Any]) -> None:
    """FaninError where a buffer holds what nobody wrote, and its constructor computes another.

    As after `to_empty` of what is in no checkpoint. `given` are brought by the user.
    """
    builder = _Reconstruction(None)
    for held in buffer_places(model):
        module, buffer = held.module, held.buffer
        brought = held.name in given or held.attribute not in module._non_persistent_buffers_set
        if brought or buffer.is_meta or DRAWN in vars(module) or not _is_suspicious(buffer):
            continue
        fresh = builder.fresh(held)
        told = find_difference(held, fresh.value) if fresh.sure and fresh.value is not None else ""
        if told:
            raise FaninError(
                f"the buffer {held.name} of shape {tuple(buffer.shape)} was not written since its "
                f"memory was taken, as after to_empty: {told}. Build the model under "
                f"fanin.empty_weights(), or pass buffers={{{held.name!r}: tensor}}."
            )


def _is_suspicious(buffer: Tensor) -> bool:
    local = local_tensor(buffer).detach()
    if local.dtype is torch.bool or not local.numel():
        return False
    return bool((local == 0).all()) or find_patterns([local]) != ""
