"""Stored: what a file of a model's weights holds, drawn while it is written."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fanin.axes import Axes
from fanin.errors import FaninError, an
from fanin.frameworks._stored import HowDrawn, Stored
from fanin.frameworks._tiles import tiles
from fanin.frameworks.torch.write._bytes import row_major
from fanin.frameworks.torch.write._slot import Slot
from fanin.initializers import Elementwise, Initializer


def list_stored(
    model: nn.Module, slots: Mapping[str, Slot], choices: Mapping[str, HowDrawn], seed: int
) -> tuple[list[Stored], dict[str, str]]:
    """The tensors of a model's state under the names of its state_dict, and names of the same.

    Parameters are drawn as `choices` say, by the names of `slots`; buffers are as they are.
    Raises FaninError before the first draw for what cannot be drawn or stored.
    """
    by_tensor = {id(slot.tensor): slot for slot in slots.values()}
    found: list[Stored] = []
    first: dict[int, str] = {}
    same: dict[str, str] = {}
    for key, value in model.state_dict(keep_vars=True).items():
        if not isinstance(value, Tensor):
            raise FaninError(
                f"{key} of the model's state is {an(type(value).__name__)}, no tensor."
            )
        if id(value) in first:
            same[key] = first[id(value)]
            continue
        first[id(value)] = key
        found.append(_entry(key, value, by_tensor.get(id(value)), choices, seed))
    return found, same


def _entry(
    key: str, value: Tensor, slot: Slot | None, choices: Mapping[str, HowDrawn], seed: int
) -> Stored:
    shape, dtype = tuple(value.shape), str(value.dtype).removeprefix("torch.")
    size = value.numel() * value.element_size()
    if slot is not None:
        initializer, axes = choices[slot.param.name]
        slot.rehearse(initializer, seed, axes)
        return Stored(
            key, slot.param.name, dtype, shape, size, _drawing(slot, initializer, seed, axes)
        )
    if value.is_meta:
        raise FaninError(
            f"the buffer {key} of shape {shape} is computed from weights, which are not drawn when "
            "the factory runs; it cannot be written. Make it when the model is first used."
        )
    return Stored(key, key, dtype, shape, size, lambda: row_major(value))


def _drawing(slot: Slot, *how: Any) -> Callable[[], Iterator[bytes]]:
    return lambda: _draw_bytes(slot, *how)


def _draw_bytes(
    slot: Slot, initializer: Initializer | None, seed: int, axes: Axes | None
) -> Iterator[bytes]:
    """What `write` would make of a whole parameter, in pieces in row-major order."""
    if slot.part is not None:
        memory = slot._values().clone()
        slot.fill(memory, initializer, seed, axes)
        yield from row_major(memory)
    elif initializer is None:
        value = None if slot.drawn is None else slot._find_kept(seed)
        yield from row_major(slot._values() if value is None else value)
    elif not isinstance(initializer, Elementwise):
        yield from row_major(slot._whole(initializer, seed, axes))
    else:
        for tile in tiles(slot.param.shape):
            yield slot.draw(initializer, seed, axes, tile).tobytes()


def call_empty(factory: Callable[[], Any]) -> Any:
    """What a factory makes, without memory for its parameters."""
    from fanin.frameworks.torch.draws._empty import empty_weights

    with empty_weights(), torch.no_grad():
        return factory()


def retype(model: nn.Module, dtype: str) -> None:
    """Give the real numbers of a model another type."""
    wanted = getattr(torch, dtype)
    convert: Any = model._apply  # not `to`, which makes complex numbers real
    convert(lambda tensor: tensor.to(wanted) if tensor.is_floating_point() else tensor)
