"""Linen modules: a new tree of variables, with the values of the torch model of the same names."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax.core import FrozenDict, freeze

import fanin
from fanin import FaninError

X = jnp.ones((2, 4))
BOXED = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))


class Inner(nn.Module):
    @nn.compact
    def __call__(self, x: Any, _: Any = None) -> Any:
        return nn.Dense(4, kernel_init=BOXED)(x), None


class Net(nn.Module):
    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        x = nn.Dense(4, name="in")(x)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        scanned = nn.scan(
            Inner,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            length=3,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )
        x, _ = scanned(name="blocks")(x, None)
        x = nn.MultiHeadDotProductAttention(2, name="attention")(x[:, None])[:, 0]
        x = nn.Dropout(0.1, deterministic=not train)(x)
        x = nn.RNN(nn.OptimizedLSTMCell(4), name="rnn")(x[:, None])[:, 0]
        return x + x * self.param("gamma", nn.initializers.constant(1e-6), (4,))


def abstract(model: nn.Module, *inputs: Any) -> Any:
    return jax.eval_shape(model.init, jax.random.key(0), *inputs)


def test_all_variables_come_back_with_values_boxes_and_types() -> None:
    model = Net()
    variables = abstract(model, X)
    params, plan = fanin.initialize_params(model, variables, seed=1, inputs=X)
    assert jax.tree.structure(params) == jax.tree.structure(variables)
    boxed = params["params"]["blocks"]["Dense_0"]["kernel"]
    assert isinstance(boxed, nn.Partitioned)
    assert boxed.names == ("layers", None, "model")
    np.testing.assert_array_equal(params["batch_stats"]["norm"]["var"], 1)
    np.testing.assert_array_equal(params["params"]["gamma"], np.float32(1e-6))
    plan.verify(model, params=params)
    assert plan.audit(model, params=params).ok
    assert model.apply(params, X).shape == (2, 4)
    assert "drawn whole, as no mesh is set: blocks.Dense_0.kernel" in "".join(plan.notes)


def test_roles_are_those_of_the_modules_that_ran() -> None:
    model = Net()
    plan = fanin.plan(model, X)
    assert str(plan["blocks.Dense_0.weight"].axes) == "stack in out"
    assert str(plan["attention.query.weight"].axes) == "in out out"
    assert str(plan["attention.out.weight"].axes) == "in in out"
    assert plan["norm.weight"].role == "scale"
    recurrent = [name for name, row in plan.items() if row.role == "recurrent"]
    assert len(recurrent) == 4
    assert all(".h" in name for name in recurrent)


def test_variables_are_made_from_inputs_and_flags_are_passed_on() -> None:
    model = Net()
    given, first = fanin.initialize_params(model, abstract(model, X), seed=1, inputs=X)
    made, second = fanin.initialize_params(model, seed=1, inputs={"x": X, "train": False})
    assert first == second
    jax.tree.map(np.testing.assert_array_equal, given, made)
    keys = {"dropout": jax.random.key(0)}
    trained, _ = fanin.initialize_params(
        model, seed=1, inputs={"x": X, "train": True, "rngs": keys}
    )
    assert jax.tree.structure(trained) == jax.tree.structure(made)


@pytest.mark.parametrize("alone", [False, True])
def test_frozen_trees_and_parameters_alone_keep_their_type(alone: bool) -> None:
    model = nn.Dense(3)
    variables = freeze(abstract(model, X))
    params, plan = fanin.initialize_params(
        model, variables["params"] if alone else variables, seed=2, inputs=X
    )
    assert isinstance(params, FrozenDict)
    kernel = params["kernel"] if alone else params["params"]["kernel"]
    torch_weight = plan["weight"].initializer
    assert torch_weight is not None
    drawn = torch_weight((3, 4), seed=2, name="weight")
    np.testing.assert_array_equal(kernel, drawn.T)


def test_without_inputs_names_of_flax_tell_what_they_can() -> None:
    model = Net()
    plan = fanin.plan(model, params=abstract(model, X), overrides={"gamma": "ones"})
    assert str(plan["in.weight"].axes) == "in out"
    assert plan["attention.query.weight"].guessed
    assert plan["norm.bias"].role == "shift"
    with pytest.raises(FaninError, match=r"batch_stats.norm.mean is abstract and no parameter"):
        plan.apply_params(model, abstract(model, X))


def test_a_torch_plan_draws_a_port_and_the_reverse() -> None:
    class Port(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x = nn.Conv(8, (3, 3), strides=2, feature_group_count=2, name="conv")(x)
            x = nn.ConvTranspose(4, (4, 4), strides=(2, 2), name="up")(x)
            x = nn.Embed(11, 8, name="table").attend(nn.Dense(8, name="head")(x.mean((1, 2))))
            return nn.DenseGeneral((2, 4), name="q")(x)

    layers = {
        "conv": torch.nn.Conv2d(4, 8, 3, 2, groups=2),
        "up": torch.nn.ConvTranspose2d(8, 4, 4, 2),
        "table": torch.nn.Embedding(11, 8),
        "head": torch.nn.Linear(4, 8),
        "q": torch.nn.Linear(11, 8),
    }
    source, model, x = torch.nn.ModuleDict(layers), Port(), jnp.ones((1, 16, 16, 4))
    planned = fanin.initialize(source, seed=6)
    params, _ = planned.apply_params(model, inputs=x)
    planned.verify(model, params=params, inputs=x)
    weights = {name: value.detach().numpy() for name, value in source.named_parameters()}
    found = params["params"]
    expected = weights["conv.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(found["conv"]["kernel"], expected)
    expected = weights["up.weight"].transpose(2, 3, 0, 1)
    np.testing.assert_array_equal(found["up"]["kernel"], expected)
    np.testing.assert_array_equal(found["table"]["embedding"], weights["table.weight"])
    expected = weights["q.weight"].T.reshape(11, 2, 4)
    np.testing.assert_array_equal(found["q"]["kernel"], expected)
    fanin.plan(model, x).apply(source, seed=6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: fanin.initialize(model), r"Dense is never written in place"),
        (lambda model: fanin.plan(model), "Dense holds no parameters; pass its variables"),
        (lambda model: fanin.plan(nn.Dense, params={"params": {}}), "Dense is a class: call it"),
        (lambda model: fanin.plan(model, params=[X]), r"variables is \[.*give what model.init"),
        (lambda model: fanin.plan(model, params={"kernel": "text"}), "variables has 'text' at"),
    ],
)
def test_bad_input_says_what_to_do(call: Any, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        call(nn.Dense(3))


@pytest.mark.parametrize("kind", [nn.LSTMCell, nn.OptimizedLSTMCell, nn.GRUCell])
def test_the_forget_gate_of_a_cell_starts_open(kind: Any) -> None:
    model, x = nn.RNN(kind(8)), jnp.ones((2, 5, 4))
    params, _ = fanin.initialize_params(model, inputs=x)
    cell = next(iter(params["params"].values()))
    gates = {name: float(held["bias"].mean()) for name, held in cell.items() if "bias" in held}
    lstm = kind is not nn.GRUCell
    assert {name for name, mean in gates.items() if mean} == ({"hf"} if lstm else set())
    assert len(gates) == 4
    keras = fanin.plan(model, x, recipe="keras")
    opened = [row.why for name, row in keras.items() if name.endswith("hf.bias")]
    assert opened == ["Keras's unit_forget_bias"] * lstm
