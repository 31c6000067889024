"""What cannot be initialized: the message says what to do, and the model is as it was."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from torch import nn

import fanin
from fanin import FaninError

X = jnp.ones((2, 8))


class Pair(nnx.Module):
    def __init__(self) -> None:
        self.first = nnx.Linear(8, 4, rngs=nnx.Rngs(0))
        self.second = nnx.Linear(4, 8, rngs=nnx.Rngs(1))

    def __call__(self, x: Any) -> Any:
        return self.second(self.first(x))


def within_jit(model: Pair) -> Any:
    return nnx.jit(lambda inner: fanin.initialize(inner, 0) and None)(model)


def within_vmap(model: Pair) -> Any:
    def make(kernel: Any) -> Any:
        return fanin.initialize_params(lambda p, x: x @ p, kernel, inputs=X)[0]

    return jax.vmap(make)(jnp.stack([model.first.kernel[...]] * 2))


REFUSED: dict[str, tuple[Callable[[Pair], Any], str]] = {
    "inside jit": (within_jit, "is being traced by jit, .* Initialize outside"),
    "inside vmap": (within_vmap, "is being traced by jit, vmap .* Initialize outside"),
    "a key as the seed": (
        lambda model: fanin.initialize(model, jax.random.key(0)),
        "a seed is an integer .* Keys are not split here",
    ),
    "an old key as the seed": (
        lambda model: fanin.initialize(model, jax.random.PRNGKey(0)),
        "seed",
    ),
    "the inputs as the seed": (lambda model: fanin.initialize(model, X), "The inputs come third"),
    "names that collide": (
        lambda model: fanin.initialize(model, 0, rename={"first.bias": "second.bias"}),
        r"second\.bias is the name of two parameters, .* give each its own in rename=",
    ),
    "a name that is not there": (
        lambda model: fanin.initialize(model, 0, rename={"frist.bias": "a"}),
        "rename has 'frist.bias': did you mean 'first.bias'",
    ),
    "inputs of another size": (
        lambda model: fanin.initialize(model, 0, X[:, :3]),
        "on these inputs",
    ),
    "shards by hand": (
        lambda model: fanin.initialize(model, 0, shards={}),
        r"JAX arrays say by their \.sharding",
    ),
    "another rule of fans": (
        lambda model: fanin.initialize(model, 0, overrides={"second.bias": "he_normal"}),
        r"second\.bias .* has no fan-in",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_model_is_as_it_was(name: str) -> None:
    wrong, message = REFUSED[name]
    model = Pair()
    before = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model))]
    with pytest.raises(FaninError, match=message):
        wrong(model)
    after = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(model))]
    assert all(map(np.array_equal, before, after))


def test_abstract_variables_of_linen_without_inputs() -> None:
    class Normed(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            return linen.BatchNorm(use_running_average=False)(linen.Dense(4)(x))

    abstract = jax.eval_shape(Normed().init, jax.random.key(0), X)
    with pytest.raises(FaninError, match=r"is abstract and no parameter, .* pass inputs="):
        fanin.initialize_params(Normed(), abstract)
    with pytest.raises(FaninError, match=r"does not run on these inputs: .* batch statistics too"):
        fanin.initialize_params(Normed(), abstract["params"], inputs=X)
    with pytest.raises(FaninError, match=r"does not run on these inputs: .* model\.init"):
        fanin.initialize_params(Normed(), inputs=jnp.float32(1))


def test_a_grouped_transposed_kernel_is_not_that_of_torch() -> None:
    """torch keeps (in, out / groups, ...), whose address of an element no order of axes gives."""
    source = nn.ModuleDict({"up": nn.ConvTranspose2d(4, 6, 3, groups=2)})

    class Port(eqx.Module):
        up: eqx.nn.ConvTranspose2d

    layer = eqx.nn.ConvTranspose2d
    port = Port(eqx.filter_eval_shape(layer, 4, 6, 3, groups=2, key=jax.random.key(0)))
    with pytest.raises(FaninError, match=r"up\.weight has shape \(6, 2, 3, 3\) .* another weight"):
        fanin.plan(source).apply_params(port)
    before = source["up"].weight.detach().clone()
    with pytest.raises(FaninError, match=r"up\.weight has shape \(4, 3, 3, 3\) .* another weight"):
        fanin.plan(port).apply(source)
    assert bool((source["up"].weight == before).all())
