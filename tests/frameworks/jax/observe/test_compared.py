"""F21 in JAX: targets that outputs are compared with in another layout, or cannot reach."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fanin
from fanin.checks import Finding

_DRAWN = np.random.default_rng(0)
INPUTS = _DRAWN.standard_normal((64, 16)).astype(np.float32)
TARGETS = _DRAWN.standard_normal((64, 4)).astype(np.float32)
HELD = {
    "first": jnp.asarray(_DRAWN.standard_normal((16, 32)) / 4, jnp.float32),
    "last": jnp.asarray(_DRAWN.standard_normal((32, 4)) / 6, jnp.float32),
}


def network(last: Any = lambda x: x, outputs: int = 4) -> Any:
    def apply(held: Any, x: Any) -> Any:
        return last(jax.nn.relu(x @ held["first"]) @ held["last"][:, :outputs])

    return apply


def found(apply: Any, targets: Any, loss: Any = None) -> list[Finding]:
    return list(fanin.check(apply, INPUTS, targets, loss, params=HELD, select="F21").findings)


LOSSES = [
    lambda output, y: jnp.square(output - y).mean(),
    lambda output, y: jnp.abs(y - output).mean(),
    jax.jit(lambda output, y: jnp.where(jnp.abs(output - y) < 1, 0.5, 1.0).mean()),
]


@pytest.mark.parametrize("loss", LOSSES[:2])
def test_targets_laid_out_in_another_way(loss: Any) -> None:
    targets, line = jnp.asarray(TARGETS[:, 0]), network(outputs=1)
    (one,) = found(line, targets, loss)
    assert (one.severity, one.fix) == ("error", "targets[..., None]")
    assert "targets of shape (64,) from outputs of shape (64, 1), which gives (64, 64)" in (
        one.measured
    )
    assert found(line, targets[:, None], loss) == []
    assert found(line, targets, lambda output, y: loss(output, y[..., None])) == []
    assert found(line, targets, lambda output, y: loss(output[:, 0], y)) == []


@pytest.mark.parametrize("loss", [None, *LOSSES])
@pytest.mark.parametrize(
    ("last", "reach"),
    [(jax.nn.relu, "none below 0"), (jax.nn.sigmoid, "0 to 1"), (jnp.tanh, "-1 to 1")],
)
def test_targets_that_no_output_reaches(last: Any, reach: str, loss: Any) -> None:
    (one,) = found(network(last), TARGETS, loss)
    assert one.severity == "warning"
    assert one.measured.endswith(f"gives {reach}")
    assert found(network(last), jax.nn.sigmoid(TARGETS), loss) == []
    assert found(network(), TARGETS, loss) == []


def test_targets_that_the_loss_brings_into_range() -> None:
    loss = lambda output, y: jnp.square(output - jax.nn.sigmoid(y)).mean()  # noqa: E731
    assert found(network(jax.nn.sigmoid), TARGETS, loss) == []


def test_a_loss_that_reads_its_targets_outside_of_jax() -> None:
    loss = lambda output, y: jnp.square(output - np.asarray(y)).mean()  # noqa: E731
    assert found(network(jax.nn.relu), TARGETS, loss) == []
