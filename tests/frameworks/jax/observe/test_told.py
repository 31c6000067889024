"""What the optimizer that a check is told adds, of models in JAX."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fanin

INPUTS = np.random.default_rng(0).standard_normal((128, 10)).astype(np.float32)
TARGETS = np.random.default_rng(1).standard_normal((128, 1)).astype(np.float32)


class Network(nnx.Module):
    def __init__(self, width: int, function: Any) -> None:
        self.first, self.function = nnx.Linear(10, width, rngs=nnx.Rngs(0)), function
        self.head = nnx.Linear(width, 1, rngs=nnx.Rngs(1))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.head(self.function(self.first(x)))


def severities(model: Any, rule: str, optimizer: str | None, targets: Any) -> list[str]:
    told = fanin.check(model, INPUTS, targets, select=rule, optimizer=optimizer)
    return [found.severity for found in told.findings]


@pytest.mark.parametrize(
    ("width", "function", "sgd", "adam"),
    [(64, jax.nn.relu, "error", "warning"), (16, jax.nn.sigmoid, "warning", "error")],
)
def test_large_targets_by_what_the_optimizer_can_reach(
    width: int, function: Any, sgd: str, adam: str
) -> None:
    model, large = Network(width, function), 150 + 75 * TARGETS
    assert severities(model, "F13", "sgd", large) == [sgd]
    assert severities(model, "F13", "adam", large) == [adam]
    assert severities(model, "F13", None, large) == ["warning"]
    assert not severities(model, "F13", "sgd", TARGETS)


def test_squares_that_start_far_above_the_targets() -> None:
    model = Network(64, jnp.tanh)
    assert not severities(model, "F11", "adam", TARGETS)
    model.head.kernel[...] = 50 * model.head.kernel[...]
    assert severities(model, "F11", "adam", TARGETS) == ["error"]
