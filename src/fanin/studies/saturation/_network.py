"""The 2-4-1 network, its starts, and its training: all runs of a start together.

Runs are stacked in tensors (runs, rows, columns). The series' code can be read in several ways: its
numbers fill the hidden weights by rows or by columns, and a layer adds or subtracts its bias. Where
it subtracts it, the code then moves the bias as if it were added, so up its gradient.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fanin import initializers
from fanin.studies._share import RunShare
from fanin.studies._study import Advance

INPUT, TARGET, TOLERANCE = (0.3, 0.9), 0.5, 0.01
EPOCHS, RATE = 2000, 0.05
SATURATED = 0.97  # of |tanh|; a sigmoid nearer than 0.03 to 0 or 1
QUANTILES = 101
SHAPES = {"hidden.weight": (4, 2), "hidden.bias": (4,), "out.weight": (1, 4), "out.bias": (1,)}
SMALL = {
    "hidden.weight": [0.3, 0.1, 0.9, 0.0, 0.6, 2.0, 3.7, 1.0],
    "hidden.bias": [0.7, 0.2, 1.1, 2.0],
    "out.weight": [0.75, 0.15, 0.22, 0.33],
    "out.bias": [0.3],
}
LARGE = {
    "hidden.weight": [3.0, 1.0, 9.0, 0.0, 6.0, 20.0, 37.0, 10.0],
    "hidden.bias": [7.0, 2.0, 11.0, 2.0],  # the last is not ten times as large, in the article too
    "out.weight": [75.0, 15.0, 22.0, 33.0],
    "out.bias": [3.0],
}
ORDERS = {"rows": "C", "columns": "F"}  # in which the numbers fill a matrix, as NumPy has it


@dataclass(frozen=True)
class BiasRule:
    """What a layer does with its bias: its sign in the sum, and that of its move.

    The move is in units of the gradient with respect to the sum: -1 descends where a bias is added,
    +1 where it is subtracted.
    """

    told: str
    sign: float
    move: float


RULES = {
    "descent": BiasRule("by gradient descent", -1.0, 1.0),
    "series": BiasRule("by the series' rule", -1.0, -1.0),
    "added": BiasRule("with biases added", 1.0, -1.0),
}
SUBTRACTED = ("descent", "series")


@dataclass(frozen=True)
class Start:
    """How the weights and the biases begin: numbers by name, or initializers' expressions."""

    name: str
    fixed: Mapping[str, Any] | None = None
    order: str = "rows"
    weight: str = ""
    bias: str = ""


SMALL_STARTS, LARGE_STARTS = (
    {order: Start(f"fixed, {size}, by {order}", numbers, order) for order in ORDERS}
    for size, numbers in (("small", SMALL), ("large", LARGE))
)
UNIFORM = Start("uniform(0, 1)", weight="uniform(0, 1)", bias="uniform(0, 1)")
NORMAL = Start("normal(0, 1)", weight="normal(0, 1)", bias="normal(0, 1)")
XAVIER = Start("Xavier, normal biases", weight="glorot_normal", bias="normal(0, 1)")
XAVIER_ZERO = Start("Xavier, zero biases", weight="glorot_normal", bias="zeros")
RANDOM = (UNIFORM, NORMAL, XAVIER, XAVIER_ZERO)
STARTS = (*SMALL_STARTS.values(), *LARGE_STARTS.values(), *RANDOM)


def _draw(start: Start, runs: int) -> dict[str, Tensor]:
    """The parameters of all runs, (runs, *shape), biases as columns; a run's seed is its number."""
    stacked = {}
    for name, shape in SHAPES.items():
        if start.fixed is not None:
            order: Any = ORDERS[start.order]
            numbers = np.asarray(start.fixed[name], np.float32)
            values = np.ascontiguousarray(numbers.reshape(shape, order=order))[None]
        else:
            rule = initializers.get(start.weight if name.endswith("weight") else start.bias)
            values = np.stack([rule(shape, seed=seed, name=name) for seed in range(runs)])
        tensor = torch.from_numpy(values)
        stacked[name] = tensor if tensor.ndim == 3 else tensor.unsqueeze(-1)
    return stacked


def _run(at: dict[str, Tensor], sign: float) -> tuple[Tensor, Tensor]:
    """Activations of the hidden layer, (runs, 4, 1), and outputs, (runs, 1, 1)."""
    inputs = torch.tensor(INPUT).reshape(1, 2, 1).expand(len(at["out.bias"]), 2, 1)
    hidden = torch.tanh(torch.baddbmm(at["hidden.bias"], at["hidden.weight"], inputs, beta=sign))
    outputs = torch.sigmoid(torch.baddbmm(at["out.bias"], at["out.weight"], hidden, beta=sign))
    return hidden, outputs


def train(at: dict[str, Tensor], epochs: int, rule: BiasRule) -> dict[str, Tensor]:
    """The parameters after so many steps on the quadratic cost (output - target)**2 / 2."""
    at = {name: value.clone() for name, value in at.items()}
    row = torch.tensor(INPUT).reshape(1, 1, 2)
    for _ in range(epochs):
        hidden, outputs = _run(at, rule.sign)
        last = (outputs - TARGET) * outputs * (1 - outputs)
        first = at["out.weight"].mT * last * (1 - hidden * hidden)
        at["out.weight"].sub_(RATE * last * hidden.mT)
        at["out.bias"].add_(rule.move * RATE * last)
        at["hidden.weight"].sub_(RATE * first * row)
        at["hidden.bias"].add_(rule.move * RATE * first)
    return at


def measure(start: Start, runs: int, advance: Advance) -> dict[str, Any]:
    """By rule of the biases: outputs before and after training, errors as quantiles over the runs.

    `printed` counts the runs by their last output in two digits after the point, as the article
    prints it.
    """
    before = _draw(start, runs)
    found: dict[str, Any] = {"weight_std": _deviations(before)}
    for name, rule in RULES.items():
        hidden, outputs = _run(before, rule.sign)
        final = _run(train(before, EPOCHS, rule), rule.sign)[1].flatten().double()
        errors = (final - TARGET).abs()
        steps = torch.linspace(0, 1, QUANTILES, dtype=torch.float64)
        printed = [f"{output:.2f}" for output in final.tolist()]
        found[name] = {
            "first_output": float(outputs[0]),
            "saturated_hidden": float((hidden.abs() > SATURATED).float().mean()),
            "saturated_output": _share_saturated(outputs),
            "last_output": float(final[0]),
            "ends_saturated": _share_saturated(final),
            "reached": (errors <= TOLERANCE).int().tolist(),
            "errors": torch.quantile(errors, steps).tolist(),
            "printed": {figure: printed.count(figure) for figure in sorted(set(printed))},
        }
    return found


def _deviations(at: Mapping[str, Tensor]) -> list[float]:
    """The standard deviations of both weights, about zero."""
    return [
        float(value.double().square().mean().sqrt())
        for name, value in at.items()
        if name.endswith("weight")
    ]


def _share_saturated(outputs: Tensor) -> float:
    """The share of outputs within 1 - SATURATED of 0 or 1."""
    return float(((outputs - 0.5).abs() > SATURATED - 0.5).float().mean())


def share_of(found: Mapping[str, Any], start: Start, rule: str) -> RunShare:
    """The share of runs that reach the target."""
    reached = found[start.name][rule]["reached"]
    return RunShare(sum(reached), len(reached))


def disagree(share: RunShare) -> float:
    """The chance that two runs do not end alike."""
    return 2 * share.value * (1 - share.value)
