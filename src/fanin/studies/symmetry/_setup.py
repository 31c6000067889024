"""What is trained, and how much of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from fanin.studies._study import Scale
from fanin.studies.symmetry import _biases, _tied

ACTIVATIONS: Mapping[str, _tied.TensorFunction] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}
CONSTANT, RATE, SEED = 0.01, 0.1, 0
ONE_VALUE = 0.001  # an article's
NOISES = (1e-12, 1e-9, 1e-6, 1e-3)
ALIKE = f"all {ONE_VALUE:g}"
STARTS = {"zero": 0.0, "constant": CONSTANT, ALIKE: ONE_VALUE}
ZERO, OTHERS = "zeros", ("torch's uniform", "normal(0, 1)")


@dataclass(frozen=True)
class SymmetrySize:
    """How much is measured at a scale; noise takes more steps to grow."""

    images: int
    width: int
    steps: int
    noise_steps: int
    sample: _biases.BiasSample


def checks(steps: int) -> list[int]:
    """The steps, of so many, at which ranks and differences are taken."""
    return sorted({0, 1, 2, 5, *range(10, steps, max(10, steps // 20)), steps})


SIZES: Mapping[Scale, SymmetrySize] = {
    "quick": SymmetrySize(images=40, width=8, steps=30, noise_steps=40, sample=_biases.QUICK),
    "full": SymmetrySize(images=300, width=32, steps=600, noise_steps=2000, sample=_biases.FULL),
}


def equal(found: Mapping[str, Any]) -> dict[str, Any]:
    """The measurements of networks whose units begin alike."""
    return {f"{start} {name}": found[f"{start} {name}"] for start in STARTS for name in ACTIVATIONS}


def percent(value: float) -> str:
    """A share in words."""
    return f"{100 * value:.1f} %"
