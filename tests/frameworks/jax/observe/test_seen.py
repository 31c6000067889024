"""Measured sizes: what kept weights make of a real batch counts for the part that is drawn."""

from typing import Any

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fanin

X = np.random.default_rng(0).standard_normal((64, 8)).astype(np.float32) * 3 + 1
TOLD = "what kept weights alone make of the inputs counts as it was measured on them."


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(8, 32, rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(32, 3, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.head(self.drop(jnp.exp(self.norm(self.first(x)))))


class Port(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        return linen.Dense(3, name="head")(jnp.exp(linen.Dense(32, name="first")(x)))


def expected_std(features: Any) -> float:
    """Of a head that gives its outputs second moment one."""
    return float(1 / np.sqrt(np.square(np.asarray(features)).mean() * 32))


def test_a_new_head_is_sized_by_what_the_kept_layers_give() -> None:
    model = Net(nnx.Rngs(0))
    copy = nnx.clone(model)
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Not(nnx.RngKey)))]
    plan = fanin.plan(model, X, only="head.*")
    after = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model, nnx.Not(nnx.RngKey)))]
    assert all(map(np.array_equal, before, after))
    assert TOLD in plan.notes
    seen = copy.drop(jnp.exp(copy.norm(copy.first(X))))
    assert plan["head.weight"].std == pytest.approx(expected_std(seen), rel=1e-4)


def test_models_of_the_other_libraries() -> None:
    variables = Port().init(jax.random.key(0), X)
    _, plan = fanin.initialize_params(Port(), variables, inputs=X, only="head.*")
    inner = variables["params"]["first"]
    wanted = expected_std(jnp.exp(X @ inner["kernel"] + inner["bias"]))
    assert plan["head.weight"].std == pytest.approx(wanted, rel=1e-4)

    def apply(params: Any, x: Any) -> Any:
        return jnp.exp(x @ params["first"]) @ params["head"]

    params = {"first": inner["kernel"], "head": jnp.ones((32, 3))}
    row = fanin.plan(apply, X, params=params, only="head")["head"]
    assert row.std == pytest.approx(expected_std(jnp.exp(X @ params["first"])), rel=1e-4)

    chain = eqx.nn.MLP(8, 3, 32, 1, jnp.exp, key=jax.random.key(0))  # mapped over the batch
    row = fanin.plan(chain, X, only="layers.1.*")["layers.1.weight"]
    wanted = expected_std(jnp.exp(jax.vmap(chain.layers[0])(X)))
    assert row.std == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize(
    ("model", "inputs", "why"),
    [
        (Net(nnx.Rngs(0)), jax.ShapeDtypeStruct((4, 8), jnp.float32), "have no values to run with"),
        (Net(nnx.Rngs(0)), jnp.zeros((4, 8)), "holds one number alone; pass a batch of real data"),
    ],
)
def test_without_real_inputs_sizes_are_those_of_theory(model: Any, inputs: Any, why: str) -> None:
    plan = fanin.plan(model, inputs, only="head.*")
    assert any("sizes are by theory" in note and why in note for note in plan.notes)


def test_a_head_that_reads_the_same_of_all_inputs_is_told() -> None:
    model = Net(nnx.Rngs(0))
    model.drop.rate = 0.0
    told = "all that head.weight reads is the same for every one of these inputs"
    assert not any(note.startswith(told) for note in fanin.plan(model, X, only="head.*").notes)
    model.first.kernel[...] = jnp.zeros((8, 32))
    assert any(note.startswith(told) for note in fanin.plan(model, X, only="head.*").notes)


def test_new_rows_of_a_table_are_drawn_alone() -> None:
    """Those of the same slice of the whole table; the others keep their bits."""
    table = nnx.Embed(10, 4, rngs=nnx.Rngs(0))
    before = np.asarray(table.embedding[...])
    whole, _ = fanin.initialize_params(
        lambda params, x: params["weight"][x], {"weight": before}, inputs=np.zeros(2, int)
    )
    fanin.initialize(table, 0, np.zeros(2, int), rows={"weight": slice(8, 10)})
    after = np.asarray(table.embedding[...])
    assert np.array_equal(after[:8], before[:8])
    assert np.array_equal(after[8:], np.asarray(whole["weight"])[8:])
