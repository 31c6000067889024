"""Twins: models that come out equal, as one seed and equal names make them, are told."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fanin
from fanin import FaninWarning

SAME = "get the same numbers as another|gets the same numbers as another"


def line(seed: int) -> nnx.Linear:
    return nnx.Linear(8, 3, rngs=nnx.Rngs(seed))


def apply(params: Any, x: Any) -> Any:
    return x @ params["w"]


def test_modules_of_nnx_until_one_is_trained() -> None:
    first, second, third = line(0), line(1), line(2)
    fanin.initialize(first, 21)
    with pytest.warns(FaninWarning, match=SAME):
        fanin.initialize(second, 21)
    fanin.initialize(second, 21)  # its own
    fanin.initialize(nnx.clone(second), 21)  # a copy
    for model in (first, second):
        model.kernel.set_value(0.5 * model.kernel[...])
    fanin.initialize(third, 21)  # the others were trained
    fanin.initialize(line(3), 21, prefix="critic2")


def test_abstract_modules_of_nnx() -> None:
    first, second = (nnx.eval_shape(lambda: line(0)) for _ in range(2))
    fanin.initialize(first, 22)
    with pytest.warns(FaninWarning, match=SAME):
        fanin.initialize(second, 22)


def test_new_trees_of_two_models() -> None:
    models = [eqx.nn.Linear(8, 3, key=jax.random.key(seed)) for seed in range(2)]
    first, _ = fanin.initialize_params(models[0], seed=23)
    again, _ = fanin.initialize_params(models[0], seed=23)  # of the same model
    assert np.array_equal(first.weight, again.weight)
    with pytest.warns(FaninWarning, match=SAME):
        fanin.initialize_params(models[1], seed=23)

    x = jnp.zeros((1, 8))
    trees = [{"w": jax.random.normal(jax.random.key(seed), (8, 3))} for seed in range(2)]
    params, _ = fanin.initialize_params(apply, trees[0], seed=23, inputs=x)
    with pytest.warns(FaninWarning, match=SAME):
        fanin.initialize_params(apply, trees[1], seed=23, inputs=x)
    fanin.initialize_params(apply, params, seed=23, inputs=x)


def test_new_trees_of_one_abstract_tree() -> None:
    abstract = {"w": jax.ShapeDtypeStruct((8, 3), jnp.float32)}
    made = [
        fanin.initialize_params(apply, abstract, seed=24, inputs=jnp.zeros((1, 8)))[0]
        for _ in range(2)
    ]
    assert np.array_equal(made[0]["w"], made[1]["w"])
