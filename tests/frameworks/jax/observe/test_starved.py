"""F17 in JAX: weights that an operation leaves without a gradient, and healthy ones."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fanin
from fanin.checks import Finding

_DRAWN = np.random.default_rng(0)


def drawn(*shape: int) -> Any:
    return jnp.asarray(_DRAWN.standard_normal(shape) / shape[-2] ** 0.5, jnp.float32)


WEIGHTS = {
    "inner": drawn(32, 64),
    "router": drawn(64, 4),
    "up": drawn(4, 64, 128),
    "down": drawn(4, 128, 64),
    "head": drawn(64, 4),
}
INPUTS = _DRAWN.standard_normal((128, 32)).astype(np.float32)


def found(apply: Any, **more: Any) -> list[Finding]:
    labels = np.arange(128) % 4
    checkup = fanin.check(apply, INPUTS, labels, params={**WEIGHTS, **more}, select="F03,F10,F17")
    return [one for one in checkup.findings if one.severity != "note"]


def mixture(choose: Any) -> Any:
    def apply(held: Any, x: Any) -> Any:
        h = jax.nn.relu(x @ held["inner"])
        logits = h @ held["router"]
        top, index = choose(logits)
        rows = jnp.arange(len(x))[:, None]
        weights = jnp.zeros_like(logits).at[rows, index].set(top)
        made = jax.nn.relu(jnp.einsum("bd,edh->beh", h, held["up"]))
        out = jnp.einsum("beh,ehd->bed", made, held["down"])
        return (h + (weights[..., None] * out).sum(1)) @ held["head"]

    return apply


def by_sum(logits: Any, k: int = 1, eps: float = 0.0) -> Any:
    top, index = jax.lax.top_k(jax.nn.softmax(logits), k)
    return top / (top.sum(-1, keepdims=True) + eps), index


def softmax_after(logits: Any) -> Any:
    top, index = jax.lax.top_k(logits, 1)
    return jax.nn.softmax(top), index


@pytest.mark.parametrize("choose", [by_sum, lambda logits: by_sum(logits, eps=1e-9), softmax_after])
def test_a_router_of_one_expert_that_is_normalized_by_its_own_sum(choose: Any) -> None:
    (one,) = found(mixture(choose))
    assert (one.id, one.severity, one.layer) == ("F17", "warning", "router")
    assert "gives 1, whatever that is" in one.why


@pytest.mark.parametrize(
    "choose",
    [
        lambda logits: jax.lax.top_k(jax.nn.softmax(logits), 1),
        lambda logits: by_sum(logits, 2),
    ],
)
def test_routers_that_learn(choose: Any) -> None:
    assert found(mixture(choose)) == []


def gated(gate: Any) -> Any:
    def apply(held: Any, x: Any) -> Any:
        h = jax.nn.relu(x @ held["inner"])
        branch = jax.nn.relu(h @ held["up"][0]) @ held["down"][0]
        return (h + gate(held) * branch) @ held["head"]

    return apply


@pytest.mark.parametrize(
    ("gate", "start", "fix"),
    [
        (lambda held: 0.0, 0.0, "A trainable factor"),
        (lambda held: jax.nn.sigmoid(held["gate"]), -30.0, "zeros() for gate."),
        (lambda held: jax.nn.sigmoid(held["gate"]), 0.0, ""),
        (lambda held: held["gate"], 0.0, ""),
    ],
)
def test_a_branch_behind_a_gate(gate: Any, start: float, fix: str) -> None:
    findings = found(gated(gate), gate=jnp.asarray(start))
    assert len(findings) == bool(fix)
    for one in findings:
        assert (one.id, one.severity) == ("F17", "warning")
        assert one.measured.endswith("for down, up")
        assert one.fix.startswith(fix)
