"""F08 and F09 in JAX, within one weight: heads, members and time steps that are the same."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fanin
from fanin.checks import Finding

_DRAWN = np.random.default_rng(0)
INPUTS = _DRAWN.standard_normal((64, 6, 16)).astype(np.float32)


def drawn(*shape: int) -> Any:
    return jnp.asarray(_DRAWN.standard_normal(shape) / shape[-2] ** 0.5, jnp.float32)


def found(apply: Any, params: Any) -> list[Finding]:
    labels = np.arange(64) % 4
    return list(fanin.check(apply, INPUTS, labels, params=params, select="F08,F09").findings)


def attend(held: Any, x: Any) -> Any:
    h = x @ held["words"]
    packed = (h @ held["packed"]).reshape(*x.shape[:2], 3, 4, 16)
    query, key, value = packed[:, :, 0], packed[:, :, 1], packed[:, :, 2]
    weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", query, key) / 4)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(*x.shape[:2], 64)
    return (h + mixed @ held["out"]).mean(1) @ held["head"]


def test_heads_that_are_copies() -> None:
    packed, out = drawn(64, 192), drawn(64, 64)
    held = {"words": drawn(16, 64), "packed": packed, "out": out, "head": drawn(64, 4)}
    assert found(attend, held) == []
    parts = [jnp.tile(packed[:, at : at + 16], 4) for at in (0, 64, 128)]
    alike = jnp.concatenate(parts, 1)
    (one,) = found(attend, {**held, "packed": alike})
    assert (one.id, one.severity, one.layer) == ("F09", "note", "packed")
    assert one.measured == "4 times the same 16 rows, and so 3 times"
    joined = jnp.tile(out[:16], (4, 1))
    (one,) = found(attend, {**held, "packed": alike, "out": joined})
    assert (one.id, one.severity) == ("F08", "warning")


def test_members_that_are_copies() -> None:
    def member(held: Any, x: Any) -> Any:
        return jax.nn.relu(x.reshape(len(x), -1) @ held["first"]) @ held["last"]

    def apply(held: Any, x: Any) -> Any:
        return jax.vmap(member, (0, None))(held, x).mean(0)

    held = {"first": drawn(5, 96, 64), "last": drawn(5, 64, 4)}
    assert found(apply, held) == []
    alike = {name: jnp.tile(value[:1], (5, 1, 1)) for name, value in held.items()}
    (one,) = found(apply, {**held, "first": alike["first"]})
    assert (one.id, one.severity, one.layer) == ("F09", "note", "first")
    (one,) = found(apply, alike)
    assert (one.id, one.severity, one.layer) == ("F08", "warning", "first")
    assert one.measured.endswith("such also in last")


def test_heads_of_a_state_space_that_forget_alike() -> None:
    def apply(held: Any, x: Any) -> Any:
        inner = (x @ held["inner"]).reshape(*x.shape[:2], 8, 8)
        steps = jax.nn.softplus(x @ held["steps"] + held["bias"])
        state = jnp.zeros((len(x), 8, 8))
        for at in range(x.shape[1]):
            kept = jnp.exp(steps[:, at] * -jnp.exp(held["rates"]))
            state = kept[..., None] * state + steps[:, at, :, None] * inner[:, at]
        return state.reshape(len(x), -1) @ held["out"]

    held = {"inner": drawn(16, 64), "steps": drawn(16, 8), "out": drawn(64, 4)}
    same, spread = jnp.zeros(8), jnp.linspace(-6.0, -2.0, 8)
    (one,) = found(apply, {**held, "bias": same, "rates": same})
    assert (one.id, one.severity) == ("F08", "note")
    assert found(apply, {**held, "bias": spread, "rates": same}) == []
