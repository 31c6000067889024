"""Equinox modules: a new module with the values of the torch model of the same names."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError

KEY = jax.random.key(0)


def abstract(make: Any, *arguments: Any, **keywords: Any) -> Any:
    return eqx.filter_eval_shape(make, *arguments, key=KEY, **keywords)


class TorchNet(nn.Module):
    """Layers whose Equinox ports have the same attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, stride=2, groups=2)
        self.depthwise = nn.Conv1d(6, 6, 5, groups=6)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2)
        self.norm = nn.LayerNorm(8)
        self.lstm = nn.LSTMCell(4, 8)
        self.gru = nn.GRUCell(4, 8)
        self.table = nn.Embedding(11, 8)
        self.layers = nn.ModuleList([nn.Linear(8, 16), nn.Linear(16, 16)])


class Net(eqx.Module):
    conv: eqx.nn.Conv2d
    depthwise: eqx.nn.Conv1d
    up: eqx.nn.ConvTranspose2d
    norm: eqx.nn.LayerNorm
    lstm: eqx.nn.LSTMCell
    gru: eqx.nn.GRUCell
    table: eqx.nn.Embedding
    layers: list[eqx.nn.Linear]

    def __init__(self, *, key: Any) -> None:
        self.conv = eqx.nn.Conv2d(4, 8, 3, stride=2, groups=2, key=key)
        self.depthwise = eqx.nn.Conv1d(6, 6, 5, groups=6, key=key)
        self.up = eqx.nn.ConvTranspose2d(8, 4, 4, stride=2, key=key)
        self.norm = eqx.nn.LayerNorm(8)
        self.lstm = eqx.nn.LSTMCell(4, 8, key=key)
        self.gru = eqx.nn.GRUCell(4, 8, key=key)
        self.table = eqx.nn.Embedding(11, 8, key=key)
        self.layers = [eqx.nn.Linear(8, 16, key=key), eqx.nn.Linear(16, 16, key=key)]


def test_a_port_has_the_bits_of_the_torch_model() -> None:
    source = TorchNet()
    planned = fanin.initialize(source, seed=3)
    weights = {name: value.detach().numpy() for name, value in source.named_parameters()}
    ported = {"lstm.bias": "lstm.bias_ih", "gru.bias": "gru.bias_ih"}
    module, plan = fanin.initialize_params(abstract(Net), seed=3, rename=ported)
    for name in plan:
        found: Any = module
        own = {wanted: name for name, wanted in ported.items()}.get(name, name)
        for part in own.split("."):
            found = found[int(part)] if part.isdecimal() else getattr(found, part)
        if name == "up.weight":  # torch stores (in, out, ...)
            found = found.transpose(1, 0, 2, 3)
        if name != "gru.bias_n":
            assert plan[name].role == planned[name].role
            np.testing.assert_array_equal(
                np.asarray(found).reshape(weights[name].shape), weights[name]
            )


def test_a_torch_plan_draws_a_port_and_the_reverse(tmp_path: Any) -> None:
    source = nn.ModuleDict({"up": nn.ConvTranspose2d(8, 4, 3), "head": nn.Linear(8, 8)})

    class Port(eqx.Module):
        up: eqx.nn.ConvTranspose2d
        head: eqx.nn.Linear

        def __init__(self, *, key: Any) -> None:
            self.up = eqx.nn.ConvTranspose2d(8, 4, 3, key=key)
            self.head = eqx.nn.Linear(8, 8, key=key)

    planned = fanin.Plan.load(fanin.initialize(source, seed=5).save(tmp_path / "plan.toml"))
    module, plan = planned.apply_params(abstract(Port))
    assert plan.seed == 5
    planned.verify(module)
    assert planned.audit(module).ok
    assert planned.diff(module) == ()
    expected = source["up"].weight.detach().numpy().transpose(1, 0, 2, 3)
    np.testing.assert_array_equal(np.asarray(module.up.weight), expected)

    again = nn.ModuleDict({"up": nn.ConvTranspose2d(8, 4, 3), "head": nn.Linear(8, 8)})
    fanin.plan(abstract(Port)).apply(again, seed=5)
    planned.verify(again)


def test_a_plan_for_other_shapes_is_refused() -> None:
    plan = fanin.plan(nn.ModuleDict({"a": nn.Linear(8, 4)}))

    class Other(eqx.Module):
        a: eqx.nn.Linear

    other = Other(eqx.nn.Linear(4, 8, key=KEY))
    with pytest.raises(FaninError, match=r"a.weight has shape \(8, 4\) \[out in\]; the plan was"):
        plan.apply_params(other)
    assert plan.diff(other)[0] == "! a.weight: shape (4, 8) in the plan, (8, 4) in the model"


def test_shared_nodes_are_one_and_copies_are_told() -> None:
    class Tied(eqx.Module):
        shared: eqx.nn.Shared
        first: eqx.nn.Linear
        second: eqx.nn.Linear

        def __init__(self) -> None:
            pair = eqx.nn.Embedding(5, 3, key=KEY), eqx.nn.Linear(3, 5, use_bias=False, key=KEY)
            self.shared = eqx.nn.Shared(pair, lambda p: p[1].weight, lambda p: p[0].weight)
            self.first = self.second = eqx.nn.Linear(3, 3, key=KEY)

    module, plan = fanin.initialize_params(Tied())
    assert next(iter(plan)) == "shared.0.weight"
    assert not any("shared.1" in name for name in plan)
    assert "first.weight and second.weight are one array in two places" in "".join(plan.notes)
    assert not np.array_equal(module.first.weight, module.second.weight)


def test_weight_norms_have_the_norms_of_their_weights() -> None:
    module, plan = fanin.initialize_params(eqx.nn.WeightNorm(eqx.nn.Linear(64, 32, key=KEY)))
    assert plan["layer.weight"].role == "direction"
    assert plan["g"].role == "magnitude"
    np.testing.assert_allclose(module.g, 1.0, rtol=1e-6)


@pytest.mark.parametrize("outputs", [1, "scalar"])
def test_the_one_number_of_a_drawn_bias_is_no_constant(outputs: Any) -> None:
    model = eqx.nn.Linear(8, outputs, key=jax.random.key(0))
    for inputs in (None, jnp.zeros((4, 8))):
        plan = fanin.plan(model, inputs, strict=True)
        assert str(plan["bias"].initializer) == "zeros()"


def test_states_are_no_parameters() -> None:
    norm, _ = eqx.nn.make_with_state(eqx.nn.BatchNorm)(3, "batch", mode="batch")
    module, plan = fanin.initialize_params(norm)
    assert [*plan] == ["weight", "bias"]
    np.testing.assert_array_equal(module.weight, 1)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_types_are_those_of_the_arrays(dtype: Any) -> None:
    module, plan = fanin.initialize_params(abstract(eqx.nn.Linear, 4, 3, dtype=dtype), seed=2)
    assert module.weight.dtype == dtype
    name = str(module.weight.dtype)
    drawn = fanin.initializers.lecun_normal()((3, 4), seed=2, name="weight", dtype=name)
    assert np.asarray(module.weight).tobytes() == drawn.tobytes()
    plan.verify(module)


def test_verify_and_audit_find_what_changed() -> None:
    module, plan = fanin.initialize_params(eqx.nn.Linear(64, 64, key=KEY))
    plan.verify(module)
    changed = eqx.tree_at(lambda m: m.weight, module, module.weight * 2)
    with pytest.raises(FaninError, match="weight holds other values than seed 0"):
        plan.verify(changed)
    assert [account.name for account in plan.audit(changed).findings] == ["weight"]


def test_nothing_is_written_in_place() -> None:
    module = eqx.nn.Linear(4, 2, key=KEY)
    before = np.asarray(module.weight).copy()
    with pytest.raises(FaninError, match=r"Linear is never written in place, so new weights are a"):
        fanin.initialize(module)
    with pytest.raises(FaninError, match=r"model, plan = plan\.apply_params\(model, seed=0"):
        fanin.plan(module).apply(module)
    fanin.initialize_params(module)
    np.testing.assert_array_equal(module.weight, before)


def test_bad_inputs_say_what_to_do() -> None:
    module = eqx.nn.Linear(4, 2, key=KEY)
    with pytest.raises(FaninError, match="params is given beside Linear, which holds its own"):
        fanin.initialize_params(module, 0)
    with pytest.raises(FaninError, match="seed is"):
        fanin.initialize_params(module, seed=KEY)  # type: ignore[arg-type]
    with pytest.raises(FaninError, match="of JAX models leave it out: JAX arrays say by their"):
        fanin.plan(module).verify(module, shards={"weight": ((2, 4), ())})
    with pytest.raises(FaninError, match=r"is written in place: plan = fanin\.initialize\(model"):
        fanin.initialize_params(torch.nn.Linear(2, 2))
    with pytest.raises(FaninError, match=r"weight of shape .* is being traced by jit"):
        jax.jit(lambda key: fanin.initialize_params(eqx.nn.Linear(4, 2, key=key))[0].weight)(KEY)
    with pytest.raises(FaninError, match="does not run on these inputs, neither on one example"):
        fanin.plan(module, jnp.zeros((3, 5)))
    with pytest.raises(FaninError, match="Linear is a class: call it"):
        fanin.initialize_params(eqx.nn.Linear)


class Normalized(eqx.Module):
    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        self.conv = eqx.nn.Conv2d(3, 16, 3, key=key)
        self.norm = eqx.nn.BatchNorm(16, "batch", mode="batch")
        self.drop = eqx.nn.Dropout(0.2)
        self.head = eqx.nn.Linear(16, 10, key=key)

    def __call__(self, x: Any, state: Any, key: Any = None) -> Any:
        x, state = self.norm(self.conv(x), state)
        return self.head(self.drop(jax.nn.relu(x).mean((1, 2)), key=key)), state


def test_batches_are_mapped_over_beside_states_and_keys() -> None:
    x = jax.ShapeDtypeStruct((8, 3, 9, 9), jnp.float32)
    module, state = eqx.filter_eval_shape(eqx.nn.make_with_state(Normalized), KEY)
    inputs = {"x": x, "state": state, "key": KEY}
    made, plan = fanin.initialize_params(module, seed=1, inputs=inputs)
    assert plan["conv.weight"].role == "convolution"
    assert plan["head.weight"].why.endswith("the head")
    plan.verify(made)
    with pytest.raises(FaninError, match="Dropout requires a key"):
        fanin.plan(module, (x, state))


def test_an_example_and_a_batch_of_them_make_one_plan() -> None:
    module = abstract(eqx.nn.MLP, 12, 3, 16, 2)
    single, batch = (fanin.plan(module, jnp.zeros(shape)) for shape in ((12,), (5, 12)))
    assert single.rows == batch.rows
    assert str(single["layers.2.weight"].initializer) == "he_normal()"
