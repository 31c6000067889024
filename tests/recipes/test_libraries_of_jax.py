"""The recipes equinox and haiku: what the libraries' own layers draw."""

import math
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fanin

KEY = jax.random.key(0)
EQUINOX: dict[str, Any] = {
    "Linear": lambda: eqx.nn.Linear(200, 100, key=KEY),
    "Conv2d": lambda: eqx.nn.Conv2d(16, 32, 3, stride=2, groups=4, key=KEY),
    "ConvTranspose2d": lambda: eqx.nn.ConvTranspose2d(16, 32, 4, stride=2, key=KEY),
    "grouped ConvTranspose2d": lambda: eqx.nn.ConvTranspose2d(16, 32, 4, groups=4, key=KEY),
    "LSTMCell": lambda: eqx.nn.LSTMCell(30, 60, key=KEY),
    "GRUCell": lambda: eqx.nn.GRUCell(30, 60, key=KEY),
    "Embedding": lambda: eqx.nn.Embedding(300, 100, key=KEY),
    "MultiheadAttention": lambda: eqx.nn.MultiheadAttention(2, 100, key=KEY),
    "LayerNorm": lambda: eqx.nn.LayerNorm(100),
    "PReLU": lambda: eqx.nn.PReLU(0.25),
}


@pytest.mark.parametrize("name", EQUINOX)
def test_equinox_draws_what_its_layers_draw(name: str) -> None:
    module = EQUINOX[name]()
    _, plan = fanin.initialize_params(module, recipe="equinox")
    own = [leaf for leaf in jax.tree.leaves(module) if eqx.is_inexact_array(leaf)]
    assert len(own) == len(plan)
    for row, values in zip(plan.values(), own, strict=True):
        assert row.std is not None
        found = float(jnp.sqrt(jnp.mean((values - (row.mean or 0.0)) ** 2)))
        assert found == pytest.approx(row.std, rel=6 / math.sqrt(values.size), abs=1e-9), row
        if "uniform" in str(row.initializer) or "torch_bias" in str(row.initializer):
            bound = row.std * math.sqrt(3)
            assert 0.9 * bound < float(abs(values).max()) <= bound * (1 + 1e-6), row


def test_haiku_draws_what_its_layers_draw() -> None:
    def net(x: Any, words: Any) -> Any:
        x = hk.Conv2D(32, 3, stride=2, feature_group_count=4)(x)
        x = hk.Conv2DTranspose(16, 4, stride=2)(x)
        return hk.Linear(100)(x.mean((1, 2))), hk.Embed(300, 100)(words)

    given = jnp.ones((2, 8, 8, 16)), jnp.zeros((2, 3), jnp.int32)
    model = hk.without_apply_rng(hk.transform(net))
    made = model.init(KEY, *given)
    _, plan = fanin.initialize_params(model.apply, made, inputs=given, recipe="haiku")
    for row, values in zip(plan.values(), jax.tree.leaves(made), strict=True):
        assert row.std is not None
        found = float(np.std(np.asarray(values)))
        assert found == pytest.approx(row.std, rel=6 / math.sqrt(values.size), abs=1e-9), row
    assert str(plan["conv2_d/b"].initializer if "conv2_d/b" in plan else "zeros()") == "zeros()"
