"""The recipe `mup`: hyperparameters tuned on a narrow model that hold for a wide one."""

import math
from collections.abc import Mapping
from typing import Any

from fanin.errors import FaninError, quote
from fanin.graph import Graph
from fanin.initializers import variance_scaling
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._tree import activation_scale, after_activation, by_kind

SOURCE = "Yang et al. 2021 (Tensor Programs V), table 3"


def mup(base: Mapping[str, Any]) -> Recipe:
    """The maximal update parametrization, for Adam, relative to a model of the base width.

    Args:
        base: the shape of every parameter of that model, by canonical name: tuples, or tensors
            such as dict(narrow.named_parameters()). An axis that differs is one whose width
            grows; the model must have the same depth, kernels and number of axes.

    With w the growth of a weight's fan_in (1 where it does not grow):
    hidden weights (both fans grow): variance g**2 / fan_in, learning rate 1 / w;
    input weights (fan_in does not grow), tables, biases, scales: as without mup, rate 1;
    output weights (fan_in grows alone): variance g**2 / (fan_in * w), learning rate 1 / w.
    g is the gain of the activation before the weight. At the base width this is the
    initialization and the learning rate that one has without it.

    The factors of the learning rate are Choice.lr_factor; they are Adam's (for SGD the table has
    others). Attention logits must be divided by d, not sqrt(d), in the model: weights cannot
    do that. A table that is also the head needs a multiplier in the model, too: an error.

    Returns the recipe, for `recipe=` of `fanin.plan` and `fanin.initialize`. Raises FaninError
    where `base` is no mapping; planning raises it where the models differ in more than widths.

    Source: Yang et al. 2021, table 3. Weight normalization is not treated there.

    >>> import fanin, torch
    >>> def mlp(width):
    ...     layers = torch.nn.Linear(8, width), torch.nn.ReLU(), torch.nn.Linear(width, width)
    ...     return torch.nn.Sequential(*layers)
    >>> recipe = mup(base=dict(mlp(32).named_parameters()))
    >>> plan = fanin.plan(mlp(128), recipe=recipe)
    >>> plan["2.weight"].role, plan["2.weight"].lr_factor
    ('hidden weight', 0.25)
    """
    if not isinstance(base, Mapping):
        raise FaninError(f"base of mup is {quote(base)}; it maps parameter names to shapes.")
    shapes = {
        name: tuple(tensor.shape if hasattr(tensor, "shape") else tensor)
        for name, tensor in base.items()
    }

    def choose(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
        growths = {name: _growth(param, shapes) for name, param in params.items()}
        return place(params, graph, lambda param: _rule(param, growths[param.name]))

    return Recipe("mup", choose, SOURCE)


def _growth(param: Param, shapes: Mapping[str, tuple[int, ...]]) -> tuple[float, ...]:
    """By how much each axis is longer than in the base model."""
    if param.name not in shapes:
        raise FaninError(
            f"base of mup has no {param.name!r}, of shape {param.shape} here. Give the shapes of "
            "all parameters of a narrower model of the same kind: "
            "base={name: shape}."
        )
    own = shapes[param.name]
    if len(own) != len(param.shape) or not all(own):
        raise FaninError(
            f"{param.name} has shape {param.shape}, and {own} in the base of mup; the two models "
            "may differ in widths alone."
        )
    return tuple(here / there for here, there in zip(param.shape, own, strict=True))


def _rule(param: Param, growth: tuple[float, ...]) -> Choice | None:
    if param.kind == "table" and param.aliases and any(item != 1 for item in growth):
        raise FaninError(
            f"{param.name} of shape {param.shape} is also {', '.join(param.aliases)}: as a table "
            "and as a head, mup wants two sizes of it. Untie them."
        )
    wide_in = _product(growth, param, "in")
    if param.kind == "recurrent" and (choice := by_kind(param)):
        why = f"{choice.why}; fan_in is {wide_in:g} times the base's"
        return Choice(choice.initializer, choice.role, why, lr_factor=1 / wide_in)
    if param.kind not in ("weight", "direction"):
        return None
    if _product(growth, param, "kernel") != 1:
        raise FaninError(
            f"{param.name} of shape {param.shape} has another kernel than in the base of mup."
        )
    scale, role, rate = activation_scale(param), "input weight", 1.0
    if wide_in != 1:
        rate, role = 1 / wide_in, "hidden weight"
        if _product(growth, param, "out") == 1:
            scale, role = scale / wide_in, "output weight"
    chosen = variance_scaling(float(f"{scale:.9g}"), "fan_in", "normal")
    why = f"{after_activation(param)}; fan_in is {wide_in:g} times the base's"
    return Choice(chosen, role, why, lr_factor=rate)


def _product(growth: tuple[float, ...], param: Param, role: str) -> float:
    return math.prod(
        item for item, own in zip(growth, param.axes.roles, strict=True) if own == role
    )
