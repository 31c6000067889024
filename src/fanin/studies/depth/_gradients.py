"""Gradients by layer at the start: of weights, of biases, and what reaches a layer.

A chain of layers of one width with biases, a head of ten outputs and their cross-entropy, in
float64, so that nothing is lost on the way. `delta` is the gradient of the sum of a layer.
"""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from fanin import initializers
from fanin.streams import Stream
from fanin.studies._study import Advance, StudyPart
from fanin.studies.depth._propagation import INPUTS, TensorFunction, rms

DEPTH, WIDTH, CLASSES = 20, 64, 10
KINDS = ("weight", "bias", "delta")


def part(
    name: str,
    activation: TensorFunction,
    rules: Mapping[str, str],
    seeds: int,
    biases: Mapping[str, float] | None = None,
) -> StudyPart:
    """For every rule, by its spelling, the RMS of each kind by layer: medians over seeds.

    `biases` are constants by rule; zero without them.
    """
    levels = dict.fromkeys(rules, 0.0) | dict(biases or {})
    settings = {
        "depth": DEPTH,
        "width": WIDTH,
        "seeds": seeds,
        "rules": dict(rules),
        "biases": levels,
    }
    return StudyPart(name, settings, partial(_measure, activation, rules, levels, seeds))


def _measure(
    activation: TensorFunction,
    rules: Mapping[str, str],
    biases: Mapping[str, float],
    seeds: int,
    advance: Advance,
) -> dict[str, dict[str, list[float]]]:
    found = {}
    for name, rule in rules.items():
        runs = [_one(rule, biases[name], activation, seed) for seed in range(seeds)]
        found[name] = {
            kind: [
                statistics.median(values)
                for values in zip(*(run[kind] for run in runs), strict=True)
            ]
            for kind in KINDS
        }
    return found


def _one(rule: str, bias: float, activation: TensorFunction, seed: int) -> dict[str, list[float]]:
    """By kind, from the first layer to the last."""

    def draw(layer: str, shape: tuple[int, int]) -> Tensor:
        drawn = initializers.get(rule)(shape, seed=seed, name=f"{layer}.weight", dtype="float64")
        return torch.from_numpy(drawn).requires_grad_()

    signal = torch.from_numpy(Stream(seed, "inputs").normal((INPUTS, WIDTH), dtype="float64"))
    labels = torch.from_numpy(Stream(seed, "labels").words(INPUTS).astype("int64") % CLASSES)
    weights, shifts, sums = [], [], []
    for layer in range(DEPTH):
        weights.append(draw(f"layers.{layer}", (WIDTH, WIDTH)))
        shifts.append(torch.full((WIDTH,), bias, dtype=torch.float64, requires_grad=True))
        sums.append(signal @ weights[-1].T + shifts[-1])
        signal = activation(sums[-1])
    outputs = signal @ draw("head", (CLASSES, WIDTH)).T
    loss = torch.nn.functional.cross_entropy(outputs, labels)
    gradients = torch.autograd.grad(loss, [*weights, *shifts, *sums])
    return {
        kind: [rms(gradient) for gradient in gradients[number * DEPTH : (number + 1) * DEPTH]]
        for number, kind in enumerate(KINDS)
    }


def layer_factor(values: Sequence[float]) -> float | None:
    """The mean factor from a layer to the one before it; None where an end is zero."""
    first, last = values[0], values[-1]
    return (first / last) ** (1 / (len(values) - 1)) if first and last else None
