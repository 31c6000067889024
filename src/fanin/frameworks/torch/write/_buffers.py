"""Random buffers: a plan that reads one must not depend on what chance has put there."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fanin.frameworks.torch.draws._records import DRAWN
from fanin.frameworks.torch.draws._replay import MemoryView, replay
from fanin.frameworks.torch.write._new_buffers import spectral_buffers
from fanin.frameworks.torch.write._origin import build_again
from fanin.recipes import has_steps

_FEW = 4  # elements: fewer are numbers of the layer
_DIFFERENT = 0.9  # of the elements
_ERRORS = 5.0  # standard errors of a correlation


@contextmanager
def typical_buffers(model: nn.Module) -> Iterator[None]:
    """For a while, buffers that their constructors draw hold draws that are the same everywhere."""
    before: list[tuple[nn.Module, str, Tensor]] = []
    try:
        for name, module, attribute, place in _find_drawn(model):
            buffer = module._buffers[attribute]
            if place is not None and buffer is not None:
                before.append((module, attribute, buffer))
                drawn = replay(place, 0, name).to(buffer)
                module._buffers[attribute] = drawn
        yield
    finally:
        for module, attribute, buffer in before:
            module._buffers[attribute] = buffer


def chance_buffers(model: nn.Module) -> list[str]:
    """The buffers whose values may be of chance, in a way that cannot be done again."""
    return [name for name, _, _, place in _find_drawn(model) if place is None]


def find_drawn_buffers(model: nn.Module) -> list[str]:
    """The buffers that hold what a constructor drew, less those that are fitted to a weight."""
    fitted = {
        id(module._buffers.get(attribute))
        for module in model.modules()
        for attribute in spectral_buffers(module)
    }
    return [
        name
        for name, module, attribute, _ in _find_drawn(model)
        if id(module._buffers[attribute]) not in fitted
    ]


def _find_drawn(model: nn.Module) -> Iterator[tuple[str, nn.Module, str, MemoryView | None]]:
    """The buffers that constructors draw, as `empty_weights` saw, or a module built again shows.

    Of a module that cannot be built again, those that look so.
    """
    for path, module in model.named_modules():
        suspects = [
            name
            for name, buffer in module._buffers.items()
            if buffer is not None and _varies(buffer)
        ]
        known: dict[str, MemoryView | None] | None = vars(module).get(DRAWN)
        if suspects and known is None:
            again = build_again(module)
            noise = dict.fromkeys(
                filter(lambda position: _is_noise(module._buffers[position]), suspects)
            )
            known = noise if again is None else vars(again).get(DRAWN, {})
        for attribute in suspects:
            if known and attribute in known:
                name = f"{path}.{attribute}" if path else attribute
                yield name, module, attribute, known[attribute]


def _varies(buffer: Tensor) -> bool:
    """Whether nearly all elements differ: others are masks, or counts."""
    plain = type(buffer) is Tensor and buffer.layout is torch.strided and not buffer.is_meta
    if not plain or not buffer.is_floating_point() or buffer.numel() < _FEW:
        return False
    some = buffer.detach().flatten()[:1000].tolist()
    return len(set(some)) > _DIFFERENT * len(some)


def _is_noise(buffer: Tensor | None) -> bool:
    """Whether neighbours know nothing of each other along any axis, as no function has it.

    Of a few frequencies their mean knows nothing, and yet their ratios are all alike.
    """
    if buffer is None:
        return False
    values = buffer.detach().to("cpu", torch.float64)
    if has_steps(values.numpy()):
        return False
    values = values - values.mean()
    spread = values.square().mean()
    for axis in range(values.ndim):
        pairs = values.narrow(axis, 1, values.shape[axis] - 1) * values.narrow(
            axis, 0, values.shape[axis] - 1
        )
        if pairs.numel() and pairs.mean().abs() > _ERRORS * spread / pairs.numel() ** 0.5:
            return False
    return bool(spread > 0)
