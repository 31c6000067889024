"""Slots: modules as Params, and values written into their parameters."""

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

from fanin.errors import FaninError, an, quote, suggestion
from fanin.frameworks._foreign import foreign
from fanin.frameworks._naming import check_prefix
from fanin.frameworks.torch.draws._records import find_mark
from fanin.frameworks.torch.runs._tensors import reach_of
from fanin.frameworks.torch.tree._modules import Role, roles
from fanin.frameworks.torch.tree._names import (
    TABLES,
    Place,
    Placed,
    canonical_places,
    other_names,
    require_shape,
)
from fanin.frameworks.torch.tree._offloaded import find_offloaded, refuse_freed
from fanin.frameworks.torch.write._shards import (
    is_spread,
    refuse_emptied,
    refuse_flat,
    reshard,
    shard_given,
    shard_of,
)
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
    refuse_freed(model)
    reshard(model)
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
    for name, (tensor, _) in places.items():
        require_shape(name, tensor)
    _refuse_shared_memory(places)
    before, elsewhere = check_prefix(prefix), find_offloaded(model)
    return [
        _slot(name, tensor, homes, known[id(tensor)], given, device, elsewhere, before)
        for name, (tensor, homes) in places.items()
    ]


def refuse_sharded(slots: Iterable[Slot]) -> None:
    """A sharded model runs collectives, which a run without memory cannot."""
    for slot in slots:
        if slot.is_sharded or is_spread(slot.tensor):
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
    taken = []
    for name, (tensor, _) in places.items():
        if tensor.is_meta or tensor.layout is not torch.strided:
            continue
        try:
            first = tensor.data_ptr()
        except (RuntimeError, NotImplementedError):  # no memory of its own: a DTensor, say
            continue
        if first:
            taken.append((first, first + reach_of(tensor), name))
    taken.sort()
    last, before = 0, ""
    for first, end, name in taken:
        if first < last:
            other, name = sorted((before, name), key=[*places].index)
            its, mine = (tuple(places[each][0].shape) for each in (other, name))
            raise FaninError(
                f"{other} of shape {its} and {name} of shape {mine} share memory. Register one "
                "parameter in both places, or transpose it in forward."
            )
        last, before = end, name


@cache
def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _slot(
    name: str,
    tensor: nn.Parameter,
    places: list[Place],
    role: Role,
    shards: Mapping[str, Any],
    device: str | torch.device | None,
    elsewhere: set[int],
    prefix: str,
) -> Slot:
    shard = shard_given(name, tensor, shards[name]) if name in shards else shard_of(name, tensor)
    if shard is None:
        refuse_emptied(name, tensor, places[0].module)
    homes = tuple(dict.fromkeys((place.module, place.attribute) for place in places))
    module = places[0].module
    table = isinstance(module, TABLES) and places[0].attribute == "weight"
    param = Param(
        name=name,
        shape=tuple(tensor.shape) if shard is None else shard.shape,
        dtype=_name_of(tensor.dtype),
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
