"""First steps on JAX: by hand and by optax, on copies."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fanin
from fanin.errors import FaninError
from fanin.frameworks.jax.observe._steps import is_sgd

Params = dict[str, dict[str, Any]]


def apply(params: Params, x: Any) -> Any:
    """Two hidden layers of ReLU."""
    for name in ("first", "second"):
        x = jax.nn.relu(x @ params[name]["weight"] + params[name]["bias"])
    return x @ params["last"]["weight"] + params["last"]["bias"]


@pytest.fixture
def params() -> Params:
    made = np.random.default_rng(0)
    sizes = {"first": (16, 32), "second": (32, 32), "last": (32, 4)}
    return {
        name: {
            "weight": jnp.asarray(made.normal(0, (2 / into) ** 0.5, (into, out)), jnp.float32),
            "bias": jnp.zeros(out),
        }
        for name, (into, out) in sizes.items()
    }


@pytest.fixture
def batch() -> tuple[Any, Any]:
    made = np.random.default_rng(1)
    inputs = made.normal(size=(64, 16)).astype(np.float32)
    return jnp.asarray(inputs), jnp.asarray((inputs @ made.normal(size=(16, 4))).argmax(1))


@pytest.mark.parametrize(
    ("optimizer", "lr", "severity"),
    [("sgd", 0.05, None), ("adamw", 1e-3, None), ("sgd", 1e3, "error"), ("adam", 1e-9, "error")],
)
def test_rates(params: Params, batch: Any, optimizer: str, lr: float, severity: Any) -> None:
    before = jax.tree_util.tree_map(np.asarray, params)
    found = fanin.check(apply, *batch, params=params, optimizer=optimizer, lr=lr, steps=8)
    levels = [finding.severity for finding in found.findings if finding.id == "F19"]
    assert levels == ([severity] if severity else [])
    if severity is None:
        assert any(f"{optimizer}, lr {lr:g}: loss" in note for note in found.notes)
    jax.tree_util.tree_map(np.testing.assert_array_equal, before, params)


def test_sharpness_is_the_largest_eigenvalue() -> None:
    """Of a linear model and squares the Hessian is known."""
    made = np.random.default_rng(0)
    inputs, targets = made.normal(size=(64, 6)), made.normal(size=(64, 3))
    params = {"line": {"weight": jnp.asarray(made.normal(size=(6, 3)), jnp.float32)}}
    exact = np.linalg.eigvalsh(inputs.T @ inputs)[-1] * 2 / targets.size
    found = fanin.check(
        lambda params, x: x @ params["line"]["weight"],
        *(jnp.asarray(item, jnp.float32) for item in (inputs, targets)),
        params=params,
        optimizer="sgd",
        lr=1e-3,
        steps=1,
    )
    (note,) = (note for note in found.notes if "sharpness of" in note)
    assert float(note.partition("sharpness of ")[2].split()[0]) == pytest.approx(exact, rel=0.02)


def test_steps_are_those_of_optax(params: Params, batch: Any) -> None:
    optax = pytest.importorskip("optax")
    how = {"params": params, "steps": 4, "select": "F19"}
    by_hand = fanin.check(apply, *batch, optimizer="adam", lr=1e-3, **how)
    (note,) = (note for note in by_hand.notes if "loss" in note)
    theirs = fanin.check(apply, *batch, optimizer=optax.adam(1e-3), **how)
    (other,) = (note for note in theirs.notes if "loss" in note)
    told = [text.partition(": loss ")[2].partition(" in ")[0] for text in (note, other)]
    assert told[0] == told[1]


@pytest.mark.parametrize("steps", [0, 4])
def test_what_is_no_optimizer(params: Params, batch: Any, steps: int) -> None:
    with pytest.raises(FaninError, match="one of optax"):
        fanin.check(apply, *batch, params=params, optimizer=3, steps=steps)


def test_what_an_optimizer_of_optax_does_is_seen() -> None:
    optax = pytest.importorskip("optax")
    clipped = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1))
    for own in (optax.sgd(0.1), optax.sgd(0.1, momentum=0.9), clipped):
        assert is_sgd(own) is True
    for own in (optax.adam(1e-3), optax.adamw(1e-3), optax.lion(1e-4)):
        assert is_sgd(own) is False
    starts_at_zero = optax.sgd(optax.linear_schedule(0.0, 0.1, 10))
    names_parameters = optax.masked(optax.sgd(0.1), {"kernel": True})
    for own in (starts_at_zero, names_parameters):
        assert is_sgd(own) is None


def test_a_gradient_too_small_for_sgd(params: Params, batch: Any) -> None:
    small = jax.tree_util.tree_map(lambda leaf: leaf * 2e-3, params)

    def levels(parameters: Params, optimizer: str | None) -> list[str]:
        told = fanin.check(apply, *batch, params=parameters, optimizer=optimizer, select="F22")
        return [finding.severity for finding in told.findings]

    assert levels(small, "sgd") == ["error"]
    assert levels(small, None) == ["note"]
    assert levels(small, "adam") == levels(params, "sgd") == []
