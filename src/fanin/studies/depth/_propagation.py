"""Signals through a deep network at initialization, layer by layer, measured and by theory.

All layers have the same width and no biases. Forward is the RMS of a layer's pre-activations;
backward that of a gradient with respect to them, which starts at the last layer with RMS 1.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fanin import initializers
from fanin.gains import depth_theory, gain
from fanin.streams import Stream

INPUTS = 64  # the batch
SMALLEST, LARGEST = (
    float(getattr(np.finfo(np.float32), name)) for name in ("smallest_normal", "max")
)
TensorFunction = Callable[[Tensor], Tensor]


def measure(
    rule: str, activation: TensorFunction, width: int, depth: int, seeds: int
) -> dict[str, list[Any]]:
    """Medians over seeds, layer 1 to `depth`; None where half of the seeds are not finite.

    `forward` and `backward` are RMS in float32, in which signals overflow and underflow; `lost` is
    the first layer whose signal is not finite, or zero, for each seed; None if there is none.
    """
    forward, backward = np.empty((seeds, depth)), np.empty((seeds, depth))
    for seed in range(seeds):
        forward[seed], backward[seed] = _one(rule, activation, width, depth, seed)
    return {
        "forward": _medians(forward),
        "backward": _medians(backward),
        "overflow": [_first(~np.isfinite(row)) for row in forward],
        "underflow": [_first(row == 0) for row in forward],
        "gradient_overflow": [_first(~np.isfinite(row[::-1])) for row in backward],
        "gradient_underflow": [_first(row[::-1] == 0) for row in backward],
    }


def _one(
    rule: str, activation: TensorFunction, width: int, depth: int, seed: int
) -> tuple[list[float], list[float]]:
    made = initializers.get(rule)
    signal = torch.from_numpy(Stream(seed, "inputs").normal((INPUTS, width))).requires_grad_()
    last = torch.from_numpy(Stream(seed, "gradient").normal((INPUTS, width)))
    sums: list[Tensor] = []
    for layer in range(depth):
        weight = torch.from_numpy(made((width, width), seed=seed, name=f"layers.{layer}.weight"))
        before = signal if layer == 0 else activation(signal)
        signal = before @ weight.T
        signal.retain_grad()
        sums.append(signal)
    signal.backward(last)  # type: ignore[no-untyped-call]
    return [rms(signal) for signal in sums], [rms(signal.grad) for signal in sums]


def rms(signal: Tensor | None) -> float:
    """The root of the mean square of a signal, or of a gradient that is there."""
    assert signal is not None
    return float(signal.detach().double().square().mean().sqrt())


def _medians(values: Any) -> list[float | None]:
    """By layer; what is not finite counts as larger than all."""
    middle = np.median(np.where(np.isfinite(values), values, np.inf), axis=0)
    return [float(value) if math.isfinite(value) else None for value in middle]


def _first(lost: Any) -> int | None:
    """The number of the first layer where it is so, counted from 1."""
    found = np.flatnonzero(lost)
    return int(found[0]) + 1 if len(found) else None


def weight_variance(rule: str, width: int) -> float:
    """fan_in times the variance of a weight."""
    made: Any = initializers.get(rule)
    return float(width * made.std((width, width)) ** 2)


def theory(activation: str, variance: float, depth: int) -> tuple[list[float], list[float]]:
    """What mean-field theory says of `measure`, from inputs of variance 1 (Schoenholz et al. 2017).

    It stops where the signal leaves the range of float32, and then says nothing of gradients.
    """
    network = depth_theory(activation, variance)
    q = [variance]
    while len(q) < depth and SMALLEST**2 < q[-1] < LARGEST**2:
        q.append(network.variance_map(q[-1]))
    forward = [math.sqrt(variance_of_layer) for variance_of_layer in q]
    if len(q) < depth:
        return forward, []
    growth = [variance / _slope(activation, before) for before in q[:-1]]
    squares = [1.0]
    for factor in reversed(growth):
        squares.append(squares[-1] * factor)
    return forward, [math.sqrt(square) for square in reversed(squares)]


def _slope(activation: str, q: float) -> float:
    """1 / E f'(x)**2 for pre-activations of variance q."""
    return gain(activation, "backward", variance=q) ** 2


def factor(values: Sequence[float | None]) -> float | None:
    """The mean factor from a layer to the next, over the layers before the signal is lost.

    Lost is also what is below float32's normal numbers, where digits go one by one.
    """
    kept = [value for value in values if value and value >= SMALLEST]
    if len(kept) < 2:
        return None
    return math.exp(math.log(kept[-1] / kept[0]) / (len(kept) - 1))
