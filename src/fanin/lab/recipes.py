"""A recipe is one row of a comparison: a name, and how it initializes a model for a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

import fanin
from fanin import initializers
from fanin.errors import FaninError, suggestion


@dataclass(frozen=True)
class Recipe:
    """`initialize(model, seed)` fills every parameter of `model` in place."""

    name: str
    initialize: Callable[[nn.Module, int], object]


def find(name: str) -> Recipe:
    """A recipe by its name, or by any expression that `initializers.get` understands."""
    if name in OWN:
        return Recipe(name, OWN[name])
    known = (*OWN, *initializers.names())
    if name.isidentifier() and name not in known:
        raise FaninError(f"unknown initializer {name!r}{suggestion(name, known)}")
    return Recipe(name, partial(_fill, initializer=initializers.get(name)))


def _fill(model: nn.Module, seed: int, initializer: initializers.Initializer) -> None:
    fanin.initialize(model, seed, initializer=initializer)


def _torch(model: nn.Module, seed: int) -> None:
    """What PyTorch does by itself when the modules are built."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in model.modules():
            reset = getattr(module, "reset_parameters", None)
            if reset is not None:
                reset()


def _glorot_then_he(model: nn.Module, seed: int) -> None:
    """The article's recommendation: Glorot for the first layer, He for those behind a ReLU."""
    first = next(name for name, _ in model.named_parameters())
    fanin.initialize(model, seed, initializer="he_normal", overrides={first: "glorot_normal"})


OWN: dict[str, Callable[[nn.Module, int], None]] = {
    "torch": _torch,
    "glorot_then_he": _glorot_then_he,
}
