"""The probe that lsuv measures with on JAX: gains are those of torch, and the model stays."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn

import fanin
from fanin import FaninError
from fanin.frameworks import adapter_for
from fanin.initializers._orthogonal import Orthogonal

X = np.random.default_rng(0).standard_normal((256, 16)).astype(np.float32) * 3 + 1


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 3)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second, last = self.layers
        made: torch.Tensor = last(torch.tanh(second(torch.relu(first(x)))))
        return made


class Port(nnx.Module):
    def __init__(self) -> None:
        sizes = ((16, 32), (32, 32), (32, 3))
        self.layers = nnx.List([nnx.Linear(*pair, rngs=nnx.Rngs(0)) for pair in sizes])

    def __call__(self, x: Any) -> Any:
        first, second, last = self.layers
        return last(jnp.tanh(second(nnx.relu(first(x)))))


def gains(plan: fanin.Plan) -> list[float]:
    return [
        row.initializer.gain for row in plan.values() if isinstance(row.initializer, Orthogonal)
    ]


def test_gains_are_those_of_torch_whatever_library_calls_them() -> None:
    theirs = gains(fanin.plan(Net(), torch.from_numpy(X), "lsuv"))
    model = nnx.eval_shape(Port)
    plan = fanin.initialize(model, 0, X, "lsuv")
    assert gains(plan) == pytest.approx(theirs, rel=1e-3)
    assert float(model(X).var()) == pytest.approx(1, abs=0.02)
    assert plan["layers.1.weight"].why.startswith("on the batch its output had variance ")

    def apply(params: Any, x: Any) -> Any:  # whose arrays no module holds
        return jnp.tanh(jax.nn.relu(x @ params["a"]) @ params["b"]) @ params["c"]

    shapes = {"a": (16, 32), "b": (32, 32), "c": (32, 3)}
    array: Any = jax.ShapeDtypeStruct
    abstract = {name: array(shape, jnp.float32) for name, shape in shapes.items()}
    params, _ = fanin.initialize_params(apply, abstract, seed=0, inputs=X, recipe="lsuv")
    assert float(apply(params, X).var()) == pytest.approx(1, abs=0.02)


def test_a_model_mapped_over_a_batch_stays_as_it_was() -> None:
    model = eqx.nn.MLP(16, 3, 32, 1, key=jax.random.key(0))
    before = [np.asarray(leaf).copy() for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))]
    plan = fanin.plan(model, X, "lsuv")
    after = jax.tree.leaves(eqx.filter(model, eqx.is_array))
    assert all(map(np.array_equal, before, after))
    made, _ = plan.apply_params(model)
    assert float(jax.vmap(made)(X).var()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (jax.ShapeDtypeStruct((4, 16), jnp.float32), "without values, and measuring runs the"),
        (jnp.zeros((4, 16)), r"layers\.0\.weight's, has variance 0\.0 on these inputs"),
        (X[:, :3], "does not run on these inputs"),
    ],
)
def test_inputs_that_nothing_can_be_measured_on(inputs: Any, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        fanin.plan(nnx.eval_shape(Port), inputs, "lsuv")


def test_a_state_without_values_is_named() -> None:
    model = nnx.eval_shape(lambda: nnx.BatchNorm(16, rngs=nnx.Rngs(0)))
    line = nnx.eval_shape(lambda: nnx.Linear(16, 4, rngs=nnx.Rngs(0)))
    with pytest.raises(FaninError, match=r"has no values, and measuring runs the model"):
        fanin.plan(nnx.Sequential(model, line), X, "lsuv")


def test_starts_of_adapters_are_refused_with_the_road() -> None:
    model = Port()
    probe = adapter_for(model).target(model).probe(X, 0)
    for call in (
        lambda: probe.read("layers.0.weight"),
        lambda: probe.store("layers.0.weight", X),
        lambda: probe.measure_inputs(["layers.0.weight"]),
        lambda: probe.differentiate(["layers.0.weight"], None),
    ):
        with pytest.raises(FaninError, match="are for PyTorch models; use recipe auto, or make"):
            call()
