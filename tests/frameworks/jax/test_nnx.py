"""NNX modules: written in place, with the values of the torch model of the same names."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from torch import nn

import fanin
from fanin import FaninError


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(4, 8, (3, 3), strides=2, feature_group_count=2, rngs=rngs)
        self.depthwise = nnx.Conv(6, 6, (5,), feature_group_count=6, rngs=rngs)
        self.up = nnx.ConvTranspose(8, 4, (4, 4), strides=(2, 2), rngs=rngs)
        self.up_swapped = nnx.ConvTranspose(8, 4, (4, 4), transpose_kernel=True, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.general = nnx.LinearGeneral((2, 4), (3, 5), axis=(-2, -1), rngs=rngs)
        self.experts = nnx.LinearGeneral(8, 4, batch_axis={0: 3}, axis=-1, rngs=rngs)
        self.einsum = nnx.Einsum("btd,hdk->bthk", (2, 8, 4), rngs=rngs)
        self.lstm = nnx.OptimizedLSTMCell(4, 8, rngs=rngs)
        self.gru = nnx.GRUCell(4, 8, rngs=rngs)
        self.lora = nnx.LoRA(8, 2, 4, rngs=rngs)
        self.table = nnx.Embed(11, 8, rngs=rngs)
        self.layers = nnx.List([nnx.Linear(8, 8, rngs=rngs) for _ in range(2)])


def block() -> Block:
    return Block(nnx.Rngs(0))


@pytest.fixture(scope="module")
def concrete() -> Block:
    """Its values take seconds to make."""
    return block()


# The stored axes from torch's order (out, in, kernel ...), heads on their side, to flax's.
LAYOUTS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "conv.weight": ((8, 2, 3, 3), (2, 3, 1, 0)),
    "depthwise.weight": ((6, 1, 5), (2, 1, 0)),
    "up.weight": ((4, 8, 4, 4), (2, 3, 1, 0)),
    "up_swapped.weight": ((4, 8, 4, 4), (2, 3, 0, 1)),
    "attention.query.weight": ((2, 4, 8), (2, 0, 1)),
    "attention.out.weight": ((8, 2, 4), (1, 2, 0)),
    "general.weight": ((3, 5, 2, 4), (2, 3, 0, 1)),
    "experts.weight": ((3, 4, 8), (0, 2, 1)),
    "einsum.weight": ((2, 4, 8), (0, 2, 1)),
    "lstm.dense_i.weight": ((32, 4), (1, 0)),
    "lora.lora_a": ((2, 8), (1, 0)),
    "table.weight": ((11, 8), (0, 1)),
    "layers.0.weight": ((8, 8), (1, 0)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_kernels_have_the_values_of_torch_weights(name: str) -> None:
    model = nnx.eval_shape(block)
    plan = fanin.initialize(model, seed=9)
    shape, order = LAYOUTS[name]
    std = plan[name].std
    assert std is not None
    found: Any = model
    for part in name.replace(".weight", "").split("."):
        found = found[int(part)] if part.isdecimal() else getattr(found, part)
    if not isinstance(found, nnx.Variable):
        found = found.embedding if isinstance(found, nnx.Embed) else found.kernel
    drawn = fanin.initializers.normal(std=std)(shape, seed=9, name=name)
    np.testing.assert_array_equal(found[...], drawn.transpose(order))


def test_recurrent_weights_and_the_forget_gate_are_those_of_torch() -> None:
    model, source = nnx.eval_shape(block), nn.LSTM(4, 8)
    plan = fanin.initialize(model, seed=1)
    assert plan["lstm.dense_h.weight"].role == plan["gru.dense_h.weight"].role == "recurrent"
    assert plan["lstm.dense_h.weight"].axes.blocks == (8, 8, 8, 8)
    np.testing.assert_array_equal(model.lstm.dense_h.bias[8:16], 1)
    drawn = fanin.initialize(source, seed=1, rename={"weight_hh_l0": "lstm.dense_h.weight"})
    np.testing.assert_allclose(
        model.lstm.dense_h.kernel[...], source.weight_hh_l0.detach().numpy().T, atol=1e-6
    )
    assert drawn["bias_ih_l0"].initializer == plan["lstm.dense_h.bias"].initializer
    np.testing.assert_array_equal(model.lora.lora_b[...], 0)


def test_an_abstract_model_gets_all_its_values(concrete: Block) -> None:
    model, empty = nnx.clone(concrete), nnx.eval_shape(block)
    plan = fanin.initialize(model, seed=1)
    assert fanin.initialize(empty, seed=1).rows == plan.rows
    plan.verify(empty)
    assert plan.audit(empty).ok
    np.testing.assert_array_equal(empty.norm.mean[...], 0)
    np.testing.assert_array_equal(empty.norm.var[...], 1)
    other = nnx.eval_shape(block)
    fanin.initialize(other, seed=2)
    keys = [
        jax.random.key_data(nnx.state(item.drop)["rngs"]["key"][...]) for item in (empty, other)
    ]
    assert not np.array_equal(*keys)
    x = jnp.ones((2, 3, 8))
    np.testing.assert_array_equal(empty.drop(x).shape, x.shape)


def test_a_pair_of_graph_and_state_is_a_model() -> None:
    pair = nnx.get_abstract_model(block, jax.make_mesh((1,), ("x",)))
    plan = fanin.initialize(pair, seed=4)
    merged = nnx.merge(*pair)
    plan.verify(merged)
    plan.verify(pair)
    assert isinstance(merged.layers[0].kernel[...], jax.Array)


def test_shared_variables_and_modules_are_ties() -> None:
    class Shares(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.body = nnx.Linear(4, 4, rngs=rngs)
            self.again = self.body
            self.head = nnx.Linear(4, 4, rngs=rngs)
            self.head.kernel = self.body.kernel

    plan = fanin.initialize(Shares(nnx.Rngs(0)))
    assert [*plan] == ["again.bias", "again.weight", "head.bias"]
    assert set(plan["body.weight"].aliases) == {"body.weight", "head.weight"}


def test_a_torch_plan_writes_a_model_of_the_same_names_and_the_reverse() -> None:
    class Port(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.q = nnx.LinearGeneral(8, (2, 4), rngs=rngs)
            self.conv = nnx.Conv(4, 8, (3, 3), rngs=rngs)
            self.head = nnx.Linear(8, 8, rngs=rngs)

    layers = {"q": nn.Linear(8, 8), "conv": nn.Conv2d(4, 8, 3), "head": nn.Linear(8, 8)}
    source, model = nn.ModuleDict(layers), nnx.eval_shape(lambda: Port(nnx.Rngs(0)))
    planned = fanin.initialize(source, seed=6)
    planned.apply(model)
    planned.verify(model)
    assert planned.audit(model).ok
    weights = {name: value.detach().numpy() for name, value in source.named_parameters()}
    np.testing.assert_array_equal(model.head.kernel[...], weights["head.weight"].T)
    np.testing.assert_array_equal(model.q.kernel[...], weights["q.weight"].T.reshape(8, 2, 4))
    np.testing.assert_array_equal(
        model.conv.kernel[...], weights["conv.weight"].transpose(2, 3, 1, 0)
    )
    fanin.plan(model).apply(source, seed=6)
    planned.verify(source)


def test_names_that_collide_are_refused_until_they_are_told_apart() -> None:
    class Both(nnx.Module):
        def __init__(self) -> None:
            self.kernel = nnx.Param(jnp.ones((1, 4)))
            self.scale = nnx.Param(jnp.ones(4))

    with pytest.raises(
        FaninError, match=r"weight is the name of two parameters, of shapes \(1, 4\)"
    ):
        fanin.plan(Both())
    assert [*fanin.plan(Both(), rename={"scale": "gain"})] == ["weight", "gain"]
    with pytest.raises(FaninError, match="rename has 'kernels': did you mean 'kernel'"):
        fanin.plan(Both(), rename={"kernels": "gain"})


def test_types_are_those_of_the_variables() -> None:
    model = nnx.Linear(4, 3, param_dtype=jnp.bfloat16, dtype=jnp.float32, rngs=nnx.Rngs(0))
    plan = fanin.initialize(model, seed=2)
    assert plan["weight"].dtype == "bfloat16"
    assert model.kernel[...].dtype == jnp.bfloat16
    plan.verify(model)


def test_what_fails_leaves_the_model_as_it_was(concrete: Block) -> None:
    model = nnx.clone(concrete)
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    with pytest.raises(FaninError, match="seed"):
        fanin.initialize(model, jax.random.key(0))  # type: ignore[arg-type]
    with pytest.raises(FaninError, match="shards is"):
        fanin.initialize(model, shards={})
    with pytest.raises(FaninError, match=r"norm.weight \(orthogonal"):
        fanin.initialize(model, overrides={"norm.weight": "orthogonal"})
    after = nnx.to_pure_dict(nnx.state(model, nnx.Param))
    jax.tree.map(np.testing.assert_array_equal, before, after)


def test_the_row_that_a_torch_plan_keeps_zero_is_zero() -> None:
    source = nn.ModuleDict({"table": nn.Embedding(11, 8, padding_idx=2)})
    planned = fanin.initialize(source, seed=3)

    class Port(nnx.Module):
        def __init__(self) -> None:
            self.table = nnx.Embed(11, 8, rngs=nnx.Rngs(0))

    model = Port()
    planned.apply(model)
    weight = source["table"].weight.detach().numpy()
    np.testing.assert_array_equal(model.table.embedding[...], weight)
    planned.verify(model)
    assert planned.audit(model).ok


class Normed(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, **how: Any) -> None:
        self.line = nnx.WeightNorm(nnx.Linear(8, 4, rngs=rngs), rngs=rngs, **how)
        self.head = nnx.Linear(4, 2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.head(nnx.relu(self.line(nnx.relu(x))))


def test_norms_of_weights_are_arrays_that_are_no_variables() -> None:
    model, x = Normed(nnx.Rngs(0)), jnp.ones((3, 8))
    plan = fanin.initialize(model, 0, x)
    assert plan["line.scales.weight"].role == "magnitude"
    weight = model.line.layer_instance.kernel[...]
    drawn = plan["line.layer_instance.weight"].initializer
    assert np.array_equal(
        weight, drawn((8, 4), seed=0, name="line.layer_instance.weight", axes="in out")
    )
    (scales,) = model.line.scales.values()
    # The rows that act have the size that the drawn ones would have had.
    np.testing.assert_allclose(
        scales, drawn.std((8, 4), plan["line.layer_instance.weight"].axes) * 8**0.5
    )
    plan.verify(model)
    scales = next(iter(model.line.scales))
    model.line.scales[scales] = 2 * model.line.scales[scales]
    with pytest.raises(FaninError, match=r"line\.scales\.weight holds other values"):
        plan.verify(model)
    assert fanin.check(model, np.random.default_rng(0).standard_normal((32, 8)).astype(np.float32))


def test_norms_in_a_state_and_in_an_abstract_model() -> None:
    graphdef, state = nnx.split(Normed(nnx.Rngs(0)))
    x = jnp.ones((3, 8))
    fanin.initialize((graphdef, state), 0, x, overrides={"line.scales.weight": "constant(3)"})
    (scales,) = nnx.merge(graphdef, state).line.scales.values()
    assert bool((scales == 3).all())
    abstract = nnx.eval_shape(lambda: Normed(nnx.Rngs(0)))
    (scales,) = abstract.line.scales.values()
    if isinstance(scales, nnx.Variable):  # from Flax 0.12.12 on
        fanin.initialize(abstract, 0, x)
        fanin.initialize(normed := Normed(nnx.Rngs(0)), 0, x)
        states = (dict(nnx.to_flat_state(nnx.state(model))) for model in (abstract, normed))
        made, usual = ({path: np.asarray(v[...]) for path, v in state.items()} for state in states)
        np.testing.assert_equal(made, usual)
        return
    with pytest.raises(FaninError, match=r"line keeps its norms in plain arrays, .* with values"):
        fanin.initialize(abstract, 0, x)


class Recurrent(nnx.Module):
    def __init__(self, kind: Any, rngs: nnx.Rngs) -> None:
        self.rnn = nnx.RNN(kind(4, 8, rngs=rngs))

    def __call__(self, x: Any) -> Any:
        return self.rnn(x)


def test_the_forget_gate_starts_open_whether_gates_are_packed_or_not() -> None:
    x = jnp.ones((2, 5, 4))
    fanin.initialize(packed := Recurrent(nnx.OptimizedLSTMCell, nnx.Rngs(0)), 0, x)
    plan = fanin.initialize(apart := Recurrent(nnx.LSTMCell, nnx.Rngs(0)), 0, x)
    assert np.array_equal(packed.rnn.cell.dense_h.bias[...], np.repeat([0, 1, 0, 0], 8))
    cell = apart.rnn.cell
    biases = [held.bias[...] for held in (cell.hi, cell.hf, cell.hg, cell.ho)]
    assert np.array_equal(np.concatenate(biases), packed.rnn.cell.dense_h.bias[...])
    assert plan["rnn.cell.hf.bias"].why == "the forget gate starts open"
    fanin.initialize(gated := Recurrent(nnx.GRUCell, nnx.Rngs(0)), 0, x)
    assert not np.asarray(gated.rnn.cell.dense_i.bias[...]).any()
