"""Conditions: what a checkup ran, and on what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conditions:
    """What was run: the same conditions give the same checkup."""

    model: str  # class name
    parameters: int
    framework: str  # its name and version
    dtype: str
    device: str
    mode: str  # "train", "eval", or "mixed" where modules differ
    batch: int
    inputs: str  # "given", or "Gaussian, mean 0, variance 1, (8, 3, 224, 224)"
    # "cross-entropy", "mean squared error", "random projection", "given", "the model's own"
    loss: str
    draws: int
    seed: int
    optimizer: str = ""  # of the steps: "SGD, lr 0.1"
    steps: int = 0  # that were taken, and taken back
