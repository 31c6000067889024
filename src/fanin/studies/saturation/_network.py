"""The 2-4-1 network, its starts, and its training: all runs of a start together.

Runs are stacked in tensors (runs, rows, columns). Like the series' code, a layer subtracts its
bias. That code then moves the bias as if it were added, so up its gradient: both rules are here.
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
    "hidden.weight": [[0.3, 0.6], [0.1, 2.0], [0.9, 3.7], [0.0, 1.0]],
    "hidden.bias": [0.7, 0.2, 1.1, 2.0],
    "out.weight": [[0.75, 0.15, 0.22, 0.33]],
    "out.bias": [0.3],
}
LARGE = {
    "hidden.weight": [[3.0, 6.0], [1.0, 20.0], [9.0, 37.0], [0.0, 10.0]],
    "hidden.bias": [7.0, 2.0, 11.0, 2.0],
    "out.weight": [[75.0, 15.0, 22.0, 33.0]],
    "out.bias": [3.0],
}
RULES = {"descent": 1.0, "series": -1.0}  # the sign with which a subtracted bias moves
RULE_NAMES = {"descent": "by gradient descent", "series": "by the series' rule"}


@dataclass(frozen=True)
class Start:
    """How the weights and the biases begin: numbers by name, or initializers' expressions."""

    name: str
    fixed: Mapping[str, Any] | None = None
    weight: str = ""
    bias: str = ""


SMALL_START, LARGE_START = Start("fixed, small", SMALL), Start("fixed, large", LARGE)
UNIFORM = Start("uniform(0, 1)", weight="uniform(0, 1)", bias="uniform(0, 1)")
NORMAL = Start("normal(0, 1)", weight="normal(0, 1)", bias="normal(0, 1)")
XAVIER = Start("Xavier, normal biases", weight="glorot_normal", bias="normal(0, 1)")
XAVIER_ZERO = Start("Xavier, zero biases", weight="glorot_normal", bias="zeros")
RANDOM = (UNIFORM, NORMAL, XAVIER, XAVIER_ZERO)
STARTS = (SMALL_START, LARGE_START, *RANDOM)


def _draw(start: Start, runs: int) -> dict[str, Tensor]:
    """The parameters of all runs, (runs, *shape), biases as columns; a run's seed is its number."""
    stacked = {}
    for name, shape in SHAPES.items():
        if start.fixed is not None:
            values = np.asarray([start.fixed[name]], np.float32)
        else:
            rule = initializers.get(start.weight if name.endswith("weight") else start.bias)
            values = np.stack([rule(shape, seed=seed, name=name) for seed in range(runs)])
        tensor = torch.from_numpy(values)
        stacked[name] = tensor if tensor.ndim == 3 else tensor.unsqueeze(-1)
    return stacked


def _run(at: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Activations of the hidden layer, (runs, 4, 1), and outputs, (runs, 1, 1)."""
    inputs = torch.tensor(INPUT).reshape(1, 2, 1).expand(len(at["out.bias"]), 2, 1)
    hidden = torch.tanh(torch.baddbmm(at["hidden.bias"], at["hidden.weight"], inputs, beta=-1))
    outputs = torch.sigmoid(torch.baddbmm(at["out.bias"], at["out.weight"], hidden, beta=-1))
    return hidden, outputs


def train(at: dict[str, Tensor], epochs: int, bias_sign: float) -> dict[str, Tensor]:
    """The parameters after so many steps on the quadratic cost (output - target)**2 / 2."""
    at = {name: value.clone() for name, value in at.items()}
    row = torch.tensor(INPUT).reshape(1, 1, 2)
    for _ in range(epochs):
        hidden, outputs = _run(at)
        last = (outputs - TARGET) * outputs * (1 - outputs)
        first = at["out.weight"].mT * last * (1 - hidden * hidden)
        at["out.weight"].sub_(RATE * last * hidden.mT)
        at["out.bias"].add_(bias_sign * RATE * last)
        at["hidden.weight"].sub_(RATE * first * row)
        at["hidden.bias"].add_(bias_sign * RATE * first)
    return at


def measure(start: Start, runs: int, advance: Advance) -> dict[str, Any]:
    """Outputs before and after training by both rules; errors as quantiles over the runs."""
    before = _draw(start, runs)
    hidden, outputs = _run(before)
    edge = (outputs - 0.5).abs() > SATURATED - 0.5
    found: dict[str, Any] = {
        "runs": len(outputs),
        "first_output": float(outputs[0]),
        "saturated_hidden": float((hidden.abs() > SATURATED).float().mean()),
        "saturated_output": float(edge.float().mean()),
    }
    for rule, sign in RULES.items():
        final = _run(train(before, EPOCHS, sign))[1].flatten().double()
        errors = (final - TARGET).abs()
        steps = torch.linspace(0, 1, QUANTILES, dtype=torch.float64)
        found[rule] = {
            "last_output": float(final[0]),
            "reached": (errors <= TOLERANCE).int().tolist(),
            "errors": torch.quantile(errors, steps).tolist(),
        }
    return found


def share_of(found: Mapping[str, Any], start: Start, rule: str) -> RunShare:
    """The share of runs that reach the target."""
    reached = found[start.name][rule]["reached"]
    return RunShare(sum(reached), len(reached))


def disagree(share: RunShare) -> float:
    """The chance that two runs do not end alike."""
    return 2 * share.value * (1 - share.value)
