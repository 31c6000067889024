"""The six starts that are compared: each gives a model built anew its weights."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import fanin
from bench.starts.architecture import Architecture

Example = tuple[Tensor, ...]


@functools.lru_cache(maxsize=1)
def plan_auto(architecture: Architecture) -> fanin.Plan:
    """What `auto` makes of it: the same for all seeds."""
    return fanin.plan(architecture.build(), architecture.example)


def _draw_auto(architecture: Architecture, model: nn.Module, seed: int) -> None:
    plan_auto(architecture).apply(model, seed)


def _keep_own(architecture: Architecture, model: nn.Module, seed: int) -> None:
    """The constructor has drawn the weights."""


def _draw_torch(architecture: Architecture, model: nn.Module, seed: int) -> None:
    fanin.initialize(model, seed, architecture.example, recipe="torch")


def _draw_xavier(architecture: Architecture, model: nn.Module, seed: int) -> None:
    """Xavier's uniform for all with two axes and more, biases zero: as it is often written."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)


def _draw_lsuv(architecture: Architecture, model: nn.Module, seed: int) -> None:
    fanin.initialize(model, seed, architecture.example, recipe="lsuv")


def _draw_anyinit(architecture: Architecture, model: nn.Module, seed: int) -> None:
    import anyinit

    example: Any = architecture.example
    spec = example[0] if len(example) == 1 else example
    anyinit.initialize(model, mode="analytic", input_spec=spec, seed=seed)


STARTS: dict[str, Callable[[Architecture, nn.Module, int], None]] = {
    "auto": _draw_auto,
    "own": _keep_own,
    "torch": _draw_torch,
    "xavier": _draw_xavier,
    "lsuv": _draw_lsuv,
    "anyinit": _draw_anyinit,
}


def draw(architecture: Architecture, start: str, seed: int) -> nn.Module:
    """A model with the weights of a start; raises what the start raises."""
    torch.manual_seed(seed)
    model = architecture.build()
    STARTS[start](architecture, model, seed)
    return model


def rules_of(architecture: Architecture, start: str) -> str | None:
    """A digest of what `auto` plans, by which results of other rules are told apart."""
    if start != "auto":
        return None
    rows = plan_auto(architecture).items()
    text = "\n".join(f"{name} {row.initializer!r}" for name, row in rows)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
