"""Which starts and activations are measured, how much of them, and how to read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from fanin.gains import gain
from fanin.studies._study import Scale
from fanin.studies.depth import _propagation
from fanin.studies.depth._borders import Sweep

ACTIVATIONS: Mapping[str, _propagation.TensorFunction] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky_relu(0.2)": partial(torch.nn.functional.leaky_relu, negative_slope=0.2),
}
LARGE, SMALL, SERIES = "normal(0, 1)", "normal(0, 0.01)", "scratch_normal"
XAVIER, GLOROT, HE, ORTHOGONAL = "lecun_normal", "glorot_normal", "he_normal", "orthogonal"
RULES = {
    LARGE: "N(0, 1)",
    SMALL: "0.01 N(0, 1)",
    SERIES: "std 1/n, of the series",
    XAVIER: "LeCun, Xavier 1/n",
    GLOROT: "Glorot",
    HE: "He",
    ORTHOGONAL: "orthogonal",
}
RATES = {"sigmoid": 0.1, "tanh": 0.02, "relu": 0.02, "leaky_relu(0.2)": 0.02}
CLIPPED = ", clipped"
CLOSE = 0.05  # two factors a layer that differ by less are the same
GRADIENTS, DEAD, TAPER = "gradients ", "dead units ", "taper"
NONNEGATIVE, CENTRED = "non-negative weights", ", sums centred by biases"
SIZES_OF_ONE_SIGN = (0.1, 1.0, 10.0)  # uniform from 0 to this
OVERSHOOT = {f"training {NONNEGATIVE}, rate {rate:g}": rate for rate in (0.1, 1.0)}


@dataclass(frozen=True)
class DepthSize:
    """How much is measured at a scale; training only with these activations."""

    width: int
    depth: int
    seeds: int
    sweep: Sweep
    trained: tuple[str, ...]
    dead: tuple[int, int, int]  # images, steps and seeds of the trainings that kill units


SIZES: Mapping[Scale, DepthSize] = {
    "quick": DepthSize(48, 60, 2, Sweep((2, 6), 2, 40, 1, 20, RATES), ("tanh", "relu"), (40, 5, 1)),
    "full": DepthSize(
        128,
        100,
        8,
        Sweep((2, 5, 10, 20, 50, 100), 3, 400, 8, 16, RATES),
        tuple(ACTIVATIONS),
        (400, 100, 3),
    ),
}


def spell(rule: str, activation: str) -> str:
    """The initializer of a rule: orthogonal has the gain of the rectifiers, 1 for the others."""
    if rule == ORTHOGONAL and "relu" in activation:
        return f"orthogonal({gain(activation):.6f})"
    return rule


def factor(found: Mapping[str, Any], activation: str, rule: str, which: str) -> float | None:
    """The mean factor a layer, in the direction that the signal runs."""
    values = found[f"signals {activation}"][rule][which]
    value = _propagation.factor(values)
    return 1 / value if value and which == "backward" else value


def predict(found: Mapping[str, Any], activation: str, rule: str, which: str) -> float | None:
    """Theory's factor over the layers at which the measured signal is there."""
    signals = found[f"signals {activation}"][rule]
    pairs = zip(signals[which], signals["theory"][which], strict=False)
    least = _propagation.SMALLEST
    there = [theory if (measured or 0) >= least else None for measured, theory in pairs]
    value = _propagation.factor(there)
    return 1 / value if value and which == "backward" else value


def start_of(
    found: Mapping[str, Any], activation: str, rule: str, clip: bool = False
) -> int | None:
    """The depth to which training starts."""
    rows = found[f"training {activation}{CLIPPED if clip else ''}"]
    starts_to: int | None = rows[spell(rule, activation)]["starts_to"]
    return starts_to


def tell_depth(depth: int | None) -> str:
    """A depth in words; 0 is none, too."""
    return str(depth) if depth else "none"
