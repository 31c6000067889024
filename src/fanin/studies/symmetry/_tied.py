"""Fully connected networks in float64, and the one-unit model that a network of equal units is.

Two hidden layers of k units each. Where all units of a layer are equal, the network computes what a
network of one unit a layer computes, whose weight behind a layer of k units is k times theirs:

    a full step of rate r     first weight r / k, second r, last r k; hidden biases r / k, last r

moves that model as a step of rate r moves the network. It follows from the chain rule: each of the
k units gets 1 / k of the one unit's gradient, and a sum over k equal weights moves k times as far.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

TensorFunction = Callable[[Tensor], Tensor]
Parameters = list[Tensor]  # weight, bias, weight, bias, ... ; weights (out, in)

TINY = 1e-9  # singular values below this share of the largest count as zero


def shapes(inputs: int, width: int, outputs: int) -> list[tuple[int, int]]:
    """The shapes of the three weights."""
    return [(width, inputs), (width, width), (outputs, width)]


def constant(inputs: int, width: int, outputs: int, value: float) -> Parameters:
    """All weights one value, all biases zero."""
    made: Parameters = []
    for rows, columns in shapes(inputs, width, outputs):
        made += [torch.full((rows, columns), value).double(), torch.zeros(rows).double()]
    return made


def one_unit(inputs: int, width: int, outputs: int, value: float) -> Parameters:
    """The one-unit model of `constant` with the same arguments."""
    first, second, last = constant(inputs, 1, outputs, value)[::2]
    biases = [torch.zeros(len(weight)).double() for weight in (first, second, last)]
    return [first, biases[0], width * second, biases[1], width * last, biases[2]]


def one_unit_rates(rate: float, width: int) -> list[float]:
    """Its learning rates, parameter by parameter."""
    small = rate / width
    return [small, small, rate, small, rate * width, rate]


def run(at: Parameters, inputs: Tensor, activation: TensorFunction) -> tuple[list[Tensor], Tensor]:
    """Activations of the hidden layers, each (n, units), and the outputs."""
    hidden: list[Tensor] = []
    signal = inputs
    for weight, bias in zip(at[:-2:2], at[1:-2:2], strict=True):
        signal = activation(signal @ weight.T + bias)
        hidden.append(signal)
    return hidden, signal @ at[-2].T + at[-1]


def descend(
    at: Parameters,
    rates: Sequence[float],
    inputs: Tensor,
    labels: Tensor,
    activation: TensorFunction,
    steps: int,
) -> Iterator[Parameters]:
    """The parameters before the first step and after each, of cross-entropy on all inputs."""
    at = [value.clone().requires_grad_() for value in at]
    yield at  # the same tensors every time, changed in place
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(run(at, inputs, activation)[1], labels)
        gradients = torch.autograd.grad(loss, at)
        with torch.no_grad():
            for value, rate, gradient in zip(at, rates, gradients, strict=True):
                value -= rate * gradient
        yield at


def rank(matrix: Tensor) -> int:
    """How many singular values are above TINY of the largest; 0 of a matrix of zeros."""
    values = torch.linalg.svdvals(matrix.detach())
    return int((values > TINY * values[0]).sum()) if values[0] > 0 else 0


def spread(weight: Tensor) -> float:
    """The largest distance of a unit's incoming weights from those of the first unit."""
    weight = weight.detach()
    return float((weight - weight[0]).abs().max())
