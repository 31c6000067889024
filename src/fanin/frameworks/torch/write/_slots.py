"""Slots: modules as Params, and values written into their parameters."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from fanin.errors import FaninError, an, quote, suggestion
from fanin.frameworks._foreign import foreign
from fanin.frameworks._naming import check_prefix
from fanin.frameworks.torch.draws._records import find_mark
from fanin.frameworks.torch.tree._modules import Role, roles
from fanin.frameworks.torch.tree._names import (
    TABLES,
    Place,
    Placed,
    canonical_places,
    other_names,
    require_shape,
)
from fanin.frameworks.torch.tree._offloaded import find_offloaded
from fanin.frameworks.torch.write._shards import refuse_emptied, refuse_flat, shard_given, shard_of
from fanin.frameworks.torch.write._slot import Slot
from fanin.frameworks.torch.write._vacancy import vacancy
from fanin.param import Param


def slots(
    model: nn.Module,
    rename: Mapping[str, str] | None = None,
    shards: Mapping[str, Any] | None = None,
    device: str | torch.device | None = None,
    prefix: str = "",
) -> list[Slot]:
    """Every parameter of the model, once, in the model's order, by its canonical name.

    `rename` maps a canonical name to the one wanted. `shards` tells of plain tensors that are
    parts, by name: (global_shape, index). `device` is where parameters on the meta device will
    be made. `prefix` stands before every name in that of its stream.
    """
    refuse_flat(model)
    _refuse_keras(model)
    known = roles(model)
    if shards is not None and not isinstance(shards, Mapping):
        raise FaninError(f"shards is {quote(shards)}; it maps names to (global shape, index).")
    places = canonical_places(model, rename)
    others = other_names(places)
    given = {others.get(name, name): part for name, part in (shards or {}).items()}
    for name in given:
        if name not in places:
            raise FaninError(f"shards has {name!r}{suggestion(str(name), list(places))}")
    _refuse_shared_memory(places)
    before, elsewhere = check_prefix(prefix), find_offloaded(model)
    return [
        _slot(name, tensor, homes, known.get(id(tensor)), given, device, elsewhere, before)
        for name, (tensor, homes) in places.items()
    ]


def refuse_sharded(slots: Iterable[Slot]) -> None:
    """A sharded model runs collectives, which a run without memory cannot."""
    for slot in slots:
        if slot.is_sharded:
            raise FaninError(
                f"{slot.param.name} of shape {slot.param.shape} is sharded, and a sharded model "
                "cannot be traced. Make the plan before sharding, plan = fanin.plan(model, "
                "inputs), then plan.apply(sharded, seed)."
            )


def _refuse_keras(model: nn.Module) -> None:
    """Keras layers on torch hold parameters that their names and axes do not tell apart."""
    if "keras" not in sys.modules:
        return
    for path, module in model.named_modules():
        if hint := foreign(module):
            raise FaninError(
                f"{path or 'the model'} is {an(type(module).__name__)} of Keras, whose weights a "
                f"module around it does not tell apart. {hint}"
            )


def _refuse_shared_memory(places: Mapping[str, Placed]) -> None:
    """Two parameters over the same elements: the second to be written would spoil the first."""
    taken: dict[int, list[tuple[int, int, str, nn.Parameter]]] = {}
    for name, (tensor, _) in places.items():
        lazy = isinstance(tensor, nn.parameter.UninitializedParameter)
        if lazy or tensor.is_meta or tensor.layout is not torch.strided or not tensor.numel():
            continue
        try:
            key = tensor.untyped_storage().data_ptr()
        except (RuntimeError, NotImplementedError):  # no memory of its own: a DTensor, say
            continue
        first = int(tensor.storage_offset())
        steps = zip(tensor.shape, tensor.stride(), strict=True)
        last = first + sum(int((size - 1) * stride) for size, stride in steps)
        for low, high, other, its in taken.get(key, []):
            if key and first <= high and low <= last:
                raise FaninError(
                    f"{other} of shape {tuple(its.shape)} and {name} of shape "
                    f"{tuple(tensor.shape)} share memory. Register one parameter in both places, "
                    "or transpose it in forward."
                )
        taken.setdefault(key, []).append((first, last, name, tensor))


def _slot(
    name: str,
    tensor: nn.Parameter,
    places: list[Place],
    role: Role | None,
    shards: Mapping[str, Any],
    device: str | torch.device | None,
    elsewhere: set[int],
    prefix: str,
) -> Slot:
    require_shape(name, tensor)
    assert role is not None
    shard = shard_given(name, tensor, shards[name]) if name in shards else shard_of(name, tensor)
    if shard is None:
        refuse_emptied(name, tensor, places[0].module)
    homes = tuple(dict.fromkeys((place.module, place.attribute) for place in places))
    module = places[0].module
    table = isinstance(module, TABLES) and places[0].attribute == "weight"
    param = Param(
        name=name,
        shape=tuple(tensor.shape) if shard is None else shard.shape,
        dtype=str(tensor.dtype).removeprefix("torch."),
        kind=role.kind,
        owner=role.owner,
        axes=role.axes,
        aliases=tuple(place.name for place in places[1:]),
        constant=role.made,
        trainable=role.trainable,
        activation=role.activation,
        head=table and any(isinstance(place.module, nn.Linear) for place in places),
    )
    padding: Any = module.padding_idx if table else None
    known = find_mark(*homes[0], tensor) if tensor.requires_grad and not tensor.is_meta else None
    told = known is not None and (known.value, known.drawn, known.digest) != (None, None, None)
    origin = known if told else None
    empty = vacancy(tensor, homes, device, id(tensor) in elsewhere)
    again = known is not None and not told
    return Slot(param, tensor, padding, shard, empty, homes, origin, again, prefix)
