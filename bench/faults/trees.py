"""Functions of JAX, and the trees of arrays that they are called with."""

from random import Random
from typing import Any

import equinox
import jax
import jax.numpy as jnp

from bench.faults.arguments import Given, Make, fail


def apply(params: Any, x: jax.Array) -> jax.Array:
    """Two dense layers."""
    return jax.nn.relu(x @ params["first"]["w"]) @ params["second"]["w"] + params["second"]["b"]


def _params(chance: Random, given: Given) -> Any:
    whole = {
        "first": {"w": jnp.zeros((4, 6))},
        "second": {"w": jnp.zeros((6, 2)), "b": jnp.zeros(2)},
    }
    abstract = jax.eval_shape(lambda: whole)
    part = {"first": {"w": jnp.zeros((4, 6), jnp.int32)}}
    return chance.choice((whole, whole, abstract, part, {}, None))


def _model(chance: Random, given: Given) -> Any:
    linear = equinox.nn.Linear(4, 2, key=jax.random.key(0))
    return chance.choice((apply, apply, apply, linear, equinox.nn.Linear, fail))


VALID: dict[str, Make] = {
    "model": _model,
    "params": _params,
    "inputs": lambda chance, given: chance.choice((jnp.zeros((2, 4)), (jnp.zeros(3),), None)),
    "key": lambda chance, given: chance.choice((jax.random.key(0), jnp.zeros(2, jnp.uint32))),
    "dtype": lambda chance, given: chance.choice((jnp.float32, jnp.bfloat16, "float64", "int8")),
    "rows": lambda chance, given: chance.choice((None, {"first.w": slice(0, 2)})),
    "like": lambda chance, given: chance.choice((None, {"second.w": "first.w"})),
}
