"""Plain networks at initialization: x -> f(W x + b), forward and back, in NumPy.

Arrays may have leading axes, one entry for each of many networks: weights (..., out, in), signals
(..., batch, units).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fanin import initializers
from fanin.gains._activation import Activation, as_activation
from fanin.streams import Array, Stream


@dataclass(frozen=True)
class Passed:
    """A pass: `before` has each layer's pre-activations, `after` the input and then f of them."""

    weights: Sequence[Array]
    before: list[Array]
    after: list[Array]
    activation: Activation


def draw(rule: str, width: int, depth: int, seed: int, networks: int = 0) -> list[Array]:
    """`depth` square weights, drawn by an initializer; `networks` > 0 puts so many on an axis."""
    initializer = initializers.get(rule)
    shape = (networks, width, width) if networks else (width, width)
    axes = "stack out in" if networks else "out in"
    return [
        initializer(shape, seed=seed, name=f"layers.{layer}.weight", axes=axes)
        for layer in range(depth)
    ]


def normal(shape: tuple[int, ...], std: float, seed: int, name: str = "inputs") -> Array:
    """Normal inputs or biases of this standard deviation."""
    return Stream(seed, name).normal(shape, std=std)


def forward(
    weights: Sequence[Array], inputs: Array, activation: str, biases: Sequence[Array] = ()
) -> Passed:
    """Run a network on inputs (..., batch, units); biases are (..., units)."""
    f = as_activation(activation)
    before: list[Array] = []
    after = [inputs]
    for layer, weight in enumerate(weights):
        before.append(after[-1] @ weight.swapaxes(-1, -2))
        if biases:
            before[-1] = before[-1] + biases[layer][..., None, :]
        after.append(f(before[-1]))
    return Passed(weights, before, after, f)


def backward(passed: Passed, gradient: Array) -> tuple[list[Array], list[Array]]:
    """Gradients with respect to `before` and `after`, from that of the last of `after`."""
    at_after = [gradient]
    at_before: list[Array] = []
    for weight, before in zip(passed.weights[::-1], passed.before[::-1], strict=True):
        at_before.insert(0, at_after[0] * passed.activation.slope(before))
        at_after.insert(0, at_before[0] @ weight)
    return at_before, at_after


def square(signal: Array) -> float:
    """The mean square of all elements."""
    return float(np.mean(np.square(signal, dtype=np.float64)))
