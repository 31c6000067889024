"""Optimizers: one by its name, or a copy of the user's own that steps in its place."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fanin.errors import FaninError, an, one_line
from fanin.frameworks._first_steps import OPTIMIZERS, StepsAsked

_KINDS: Mapping[str, Any] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def make_optimizer(
    asked: StepsAsked, parameters: Mapping[str, Tensor]
) -> tuple[torch.optim.Optimizer, list[str]]:
    """One to step with, which shares nothing but the parameters; and what is to be told of it."""
    if isinstance(asked.optimizer, str):
        rate = OPTIMIZERS[asked.optimizer] if asked.lr is None else asked.lr
        made: torch.optim.Optimizer = _KINDS[asked.optimizer]([*parameters.values()], lr=rate)
        return made, []
    return _copy(_require_optimizer(asked.optimizer))


def is_sgd(optimizer: object) -> bool:
    """Whether it is "sgd" or a torch.optim.SGD; FaninError for what is no optimizer."""
    if isinstance(optimizer, str):
        return optimizer == "sgd"
    return isinstance(_require_optimizer(optimizer), torch.optim.SGD)


def _require_optimizer(optimizer: object) -> torch.optim.Optimizer:
    if isinstance(optimizer, torch.optim.Optimizer):
        return optimizer
    raise FaninError(
        f"optimizer is {an(type(optimizer).__name__)}; it is {', '.join(map(repr, _KINDS))} or a "
        "torch.optim.Optimizer of the model's parameters."
    )


def _copy(own: torch.optim.Optimizer) -> tuple[torch.optim.Optimizer, list[str]]:
    """A copy with states of its own, without hooks and schedules, on the same parameters."""
    closure = inspect.signature(type(own).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise FaninError(
            f"{type(own).__name__} runs the model itself, by a closure, and such steps are not "
            "taken here. Pass another optimizer."
        )
    kept = {id(tensor): tensor for tensor in held_by(own)}
    try:
        made: torch.optim.Optimizer = copy.deepcopy(own, dict(kept))
    except Exception as error:
        raise FaninError(
            f"{type(own).__name__} cannot be copied, so its steps cannot be taken back: "
            f"{one_line(error, named=True)}. Pass optimizer='adam', say, with lr=."
        ) from error
    notes = []
    for group in made.param_groups:
        if group.get("lr") == 0 and group.get("initial_lr"):
            group["lr"] = group["initial_lr"]
            notes = ["a schedule holds the learning rate at 0; the steps took its initial_lr."]
    return made, notes


def held_by(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All parameters that an optimizer moves."""
    return [tensor for group in optimizer.param_groups for tensor in group["params"]]


def find_left_out(optimizer: object, parameters: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The trainable parameters that an optimizer did not get; of a name, none."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return ()
    held = {id(tensor) for tensor in held_by(optimizer)}
    return tuple(
        name
        for name, tensor in parameters.items()
        if tensor.requires_grad and id(tensor) not in held
    )


def describe(optimizer: torch.optim.Optimizer) -> tuple[str, float | None]:
    """Its name with its rates, and the rate where there is but one."""
    rates = sorted({float(group["lr"]) for group in optimizer.param_groups if "lr" in group})
    momenta = {group.get("momentum", 0) for group in optimizer.param_groups}
    more = f", momentum {max(momenta):g}" if max(momenta) else ""
    span = " to ".join(f"{rate:g}" for rate in dict.fromkeys((*rates[:1], *rates[-1:])))
    name = type(optimizer).__name__
    return f"{name}, lr {span}{more}" if rates else name, rates[0] if len(rates) == 1 else None


def highest_rate(optimizer: torch.optim.Optimizer, sharpness: float) -> float | None:
    """The rate beyond which steps of this SGD grow along the sharpest direction.

    2 / sharpness; with momentum b it is 2 (1 + b), with Nesterov's (2 + 2 b) / (1 + 2 b), in place
    of 2 (Cohen et al. 2021, section 2 and appendix B). None for other optimizers, or groups that
    differ.
    """
    groups: Sequence[Mapping[str, Any]] = optimizer.param_groups
    kinds = {
        tuple(group.get(key, 0) for key in ("lr", "momentum", "nesterov", "dampening"))
        for group in groups
    }
    if type(optimizer) is not torch.optim.SGD or len(kinds) != 1 or sharpness <= 0:
        return None
    ((_, momentum, nesterov, dampening),) = kinds
    if dampening:
        return None
    factor = (2 + 2 * momentum) / (1 + 2 * momentum) if nesterov else 2 * (1 + momentum)
    return float(factor / sharpness)
