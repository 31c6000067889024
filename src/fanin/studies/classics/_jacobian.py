"""How far a deep network is from an isometry at initialization."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin.studies._rows import ClaimFamily, ClaimRow, near, part, within
from fanin.studies._study import StudyPart
from fanin.studies.classics._chain import draw, forward, normal

DEPTH = 8
# Activation, rule of the weights, published variance.
CASES = {
    "linear, Gaussian": ("identity", "lecun_normal", 8.30),
    "linear, orthogonal": ("identity", "orthogonal", 0.00),
    "ReLU, Gaussian": ("relu", "he_normal", 16.3),
    "ReLU, orthogonal": ("relu", f"orthogonal(gain={2**0.5!r})", 8.2),
}


def spread(activation: str, rule: str, width: int, depth: int, seed: int) -> float:
    """The variance of the squared singular values of the Jacobian, scaled to mean 1."""
    passed = forward(draw(rule, width, depth, seed), normal((1, width), 1.0, seed), activation)
    jacobian = np.eye(width)
    for weight, before in zip(passed.weights, passed.before, strict=True):
        jacobian = passed.activation.slope(before[0])[:, None] * (weight @ jacobian)
    squares = np.linalg.svd(jacobian, compute_uv=False) ** 2
    return float(np.var(squares / squares.mean()))


def measure(width: int, networks: int) -> dict[str, list[float]]:
    """By case, for networks of seeds 0, 1, ..."""
    return {
        name: [spread(activation, rule, width, DEPTH, seed) for seed in range(networks)]
        for name, (activation, rule, _) in CASES.items()
    }


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    return [part("jacobian", measure, width=200, networks=8 if quick else 200)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    measured = found["jacobian"]
    return [
        ClaimRow(
            "The squared singular values of a Jacobian of L layers have variance L (linear, "
            "Gaussian), 0 (linear, orthogonal), 2L (ReLU, Gaussian) and L (ReLU, orthogonal), "
            "mean 1: orthogonal weights make no isometry of a ReLU network",
            "Saxe et al. 2013; Pennington et al. 2017; the figures by simulation",
            f"{len(measured['linear, Gaussian'])} networks of width 200, L = {DEPTH}.",
            [
                near(name, published, measured[name])
                if published
                else within(name, published, measured[name], 0.005)
                for name, (_, _, published) in CASES.items()
            ],
        )
    ]


JACOBIAN = ClaimFamily(parts, rows)
