"""SELU's fixed point, and the gains of activations, by integration."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.integrate import quad

from fanin import gain
from fanin.gains import depth_theory
from fanin.gains._activation import as_activation
from fanin.studies._rows import ClaimFamily, ClaimRow, part, within
from fanin.studies._study import StudyPart

# Forward gain, backward gain, growth of the squared gradient at the forward gain.
GAINS = {
    "relu": (1.41421, 1.41421, 1.0),
    "leaky_relu(0.2)": (1.38675, 1.38675, 1.0),
    "tanh": (1.59254, 1.46741, 1.178),
    "gelu": (1.53353, 1.48111, 1.072),
    "silu": (1.67653, 1.62332, 1.067),
    "mish": (1.48685, 1.44476, 1.059),
    "elu": (1.24520, 1.22343, 1.036),
    "softplus": (1.04187, 1.84623, 0.318),
    "sigmoid": (1.84623, 4.72265, 0.153),
    "softsign": (2.33753, 2.09578, 1.244),
    "hardtanh": (1.39204, 1.21029, 1.323),
}
DIGITS, GROWTH = 1e-5, 0.0005  # allowed: a unit of the last digit, half a unit


def measure() -> dict[str, Any]:
    """The gains, and what one layer of SELU makes of N(0, 1)."""
    selu = depth_theory("selu", 1.0)
    return {
        "gains": {name: [gain(name), gain(name, "backward")] for name in GAINS},
        "selu": {"mean": _mean("selu"), "variance": selu.variance_map(1.0), "slope": selu.chi1},
    }


def _mean(name: str) -> float:
    """E f(z), z standard normal, for an f with a kink at 0."""
    f = as_activation(name)

    def integrand(z: float) -> float:
        return float(f(np.array(z))) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    return sum(float(quad(integrand, *half, epsabs=1e-12)[0]) for half in ((-12, 0), (0, 12)))


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    return [part("gains", measure)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    gains, selu = found["gains"]["gains"], found["gains"]["selu"]
    norm = math.sqrt(selu["slope"])
    return [
        ClaimRow(
            "With alpha 1.6733 and scale 1.0507 SELU has its fixed point at mean 0 and variance 1",
            "Klambauer et al. 2017",
            "By integration; LeCun's variance 1/n.",
            [
                within("mean after a layer", 0.0, selu["mean"], 1e-6),
                within("variance after a layer", 1.0, selu["variance"], 1e-6),
            ],
        ),
        ClaimRow(
            "But there E f'^2 is 1.07157: gradients grow by 3.5 % a layer in norm, 32 times in 100",
            "computed for this study, by integration",
            "By integration.",
            [
                within("E f'^2", 1.07157, selu["slope"], 0.000005),
                within("growth in norm, %", 3.5, 100 * (norm - 1), 0.05),
                within("growth in 100 layers", 32, norm**100, 0.5),
            ],
        ),
        ClaimRow(
            "No gain serves both directions off ReLU: forward and backward gains of eleven "
            "activations, and growth of the squared gradient at the forward gain",
            "computed for this study, by integration; GELU: Hendrycks & Gimpel 2016",
            "By integration.",
            [
                check
                for name, (forward, backward, growth) in GAINS.items()
                for check in (
                    within(f"{name}, forward", forward, gains[name][0], DIGITS),
                    within(f"{name}, backward", backward, gains[name][1], DIGITS),
                    within(
                        f"{name}, growth", growth, (gains[name][0] / gains[name][1]) ** 2, GROWTH
                    ),
                )
            ],
        ),
    ]


GAINS_FAMILY = ClaimFamily(parts, rows)
