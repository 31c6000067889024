"""A model of Keras as a target: roles, values, what is refused, and what stays as it was."""

import math
import sys
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch

import fanin
from fanin import FaninError, FaninWarning
from fanin.axes import Axes
from fanin.frameworks import adapter_for

layers = keras.layers
MB = "ignore:__array__ implementation:DeprecationWarning"
traced = pytest.mark.skipif(
    keras.config.backend() == "tensorflow", reason="its programs are not read"
)
pytestmark = pytest.mark.filterwarnings(MB)


def values_of(model: Any) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(item)) for item in model.variables]


def small() -> Any:
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(3)]
    )


def test_layers_that_are_copies() -> None:
    def twin() -> Any:
        return keras.Sequential([keras.Input((6,)), layers.Dense(6), layers.Dense(6)])

    model, drawn = twin(), twin()
    copy, source = (name.removesuffix(".weight") for name in fanin.plan(model) if "weight" in name)
    before = values_of(model.layers[1])
    plan = fanin.initialize(model, 3, like={f"{copy}.*": f"{source}.*"})
    for layer in model.layers:
        assert all(np.array_equal(*pair) for pair in zip(values_of(layer), before, strict=True))
    plan.verify(model)
    copy, source = (name.removesuffix(".weight") for name in fanin.plan(drawn) if "weight" in name)
    fanin.initialize(drawn, 3, like={f"{copy}.*": f"{source}.*"}, only=f"{source}.*")
    first, second = map(values_of, drawn.layers)
    assert np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0], before[0])
    with pytest.raises(FaninError, match="they must agree"):
        fanin.plan(model, like={"*.bias": "*.weight"})


def built(layer: Any, *shape: int | None) -> Any:
    layer.build(shape)
    return layer


X = np.zeros((2, 6), np.float32)
KERNEL = ("kernel", "kernel")
ROLES: dict[str, tuple[Callable[[], Any], str, str, Axes]] = {
    "dense": (lambda: built(layers.Dense(3), None, 4), "weight", "weight", Axes(("in", "out"))),
    "einsum": (
        lambda: built(layers.EinsumDense("abc,cde->abde", (None, 2, 5)), None, 3, 4),
        *("weight", "weight"),
        Axes(("in", "out", "out")),
    ),
    "batched einsum": (
        lambda: built(layers.EinsumDense("abc,bcd->abd", (3, 5)), None, 3, 4),
        *("weight", "weight"),
        Axes(("stack", "in", "out")),
    ),
    "grouped": (
        lambda: built(layers.Conv2D(8, 3, groups=2, strides=(2, 1)), None, 9, 9, 4),
        *("weight", "weight"),
        Axes((*KERNEL, "in", "out"), groups=2, stride=(2, 1)),
    ),
    "transposed": (
        lambda: built(layers.Conv2DTranspose(8, 3, strides=2), None, 9, 9, 4),
        *("weight", "weight"),
        Axes((*KERNEL, "out", "in"), transposed=True, stride=2),
    ),
    "depthwise": (
        lambda: built(layers.DepthwiseConv2D(3, depth_multiplier=2), None, 9, 9, 4),
        *("weight", "weight"),
        Axes((*KERNEL, "out", "out"), groups=4),
    ),
    "separable": (
        lambda: built(layers.SeparableConv2D(8, 3), None, 9, 9, 4),
        *("pointwise_kernel", "weight"),
        Axes((*KERNEL, "in", "out")),
    ),
    "table": (lambda: built(layers.Embedding(9, 4)), "weight", "table", Axes(("stack", "out"))),
    "lstm": (
        lambda: built(layers.LSTMCell(3), None, 4),
        *("recurrent_kernel", "recurrent"),
        Axes(("in", "out"), blocks=(3, 3, 3, 3)),
    ),
    "gru": (
        lambda: built(layers.GRUCell(3), None, 4),
        *("bias", "bias"),
        Axes(("stack", "out"), blocks=(3, 3, 3)),
    ),
    "rnn": (
        lambda: built(layers.SimpleRNNCell(3), None, 4),
        *("recurrent_kernel", "recurrent"),
        Axes(("in", "out")),
    ),
    "norm": (
        lambda: built(layers.BatchNormalization(), None, 4),
        *("weight", "scale"),
        Axes(("stack",)),
    ),
    "prelu": (lambda: built(layers.PReLU(), None, 4), "alpha", "scale", Axes(("stack",))),
    "convolutional lstm": (
        lambda: built(layers.ConvLSTM2D(3, 2), None, 5, 9, 9, 4),
        *("cell.recurrent_kernel", "weight"),
        Axes((*KERNEL, "in", "out"), blocks=(3, 3, 3, 3)),
    ),
}


@pytest.mark.parametrize("name", ROLES)
def test_roles(name: str) -> None:
    make, variable, kind, axes = ROLES[name]
    layer = make()
    param = adapter_for(layer).target(layer).slots[variable].param
    assert (param.kind, param.axes) == (kind, axes)


def test_what_a_layer_makes_constant_is_known_of_a_trained_one_too() -> None:
    layer = built(layers.BatchNormalization(gamma_initializer="zeros"), None, 4)
    other = built(layers.Dense(3, bias_initializer=keras.initializers.Constant(0.5)), None, 4)
    layer.gamma.assign(np.arange(4.0))
    assert adapter_for(layer).target(layer).slots["weight"].param.constant == 0
    assert adapter_for(other).target(other).slots["bias"].param.constant == 0.5
    assert adapter_for(other).target(other).slots["weight"].param.constant is None


def test_a_number_that_an_initializer_says_is_nobodys_draw() -> None:
    start = keras.initializers.Constant(math.log(37 / 6481))
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, bias_initializer=start)])
    plan = fanin.plan(model, np.zeros((2, 4), "float32"), strict=True)
    assert plan["layers.dense.bias"].mean == pytest.approx(math.log(37 / 6481))


def test_the_module_tree_knows_the_activation_before_a_weight() -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.ReLU()])
    for layer in (layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.1)):
        model.add(layer)
    for layer in (layers.Dense(4, activation="silu"), layers.Dense(4), layers.BatchNormalization()):
        model.add(layer)
    model.add(layers.Dense(2))
    whys = [row.why for row in fanin.plan(model).values() if row.role == "weight"]
    assert [why.partition(";")[0] for why in whys] == [
        "no activation is known before it",
        "after ReLU, gain 1.414",
        "after silu, gain 1.677",
        "no activation is known before it",
    ]


DTYPES = ["float32", "float16", "bfloat16", "mixed_bfloat16"]
if keras.config.backend() != "jax":  # which has it only where it is asked for
    DTYPES.append("float64")


@pytest.mark.parametrize("dtype", DTYPES)
def test_variables_get_values_of_their_own_type(dtype: str) -> None:
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, dtype=dtype), layers.Dense(3, dtype=dtype)]
    )
    encoding = "float32" if dtype.startswith("mixed") else dtype
    plan = fanin.initialize(model, 3, X)
    row = plan["layers.dense.weight"]
    assert row.dtype == encoding
    wanted = row.initializer((6, 5), seed=3, name=row.name, axes="in out", dtype=encoding)
    held = keras.ops.convert_to_numpy(model.layers[0].kernel)
    assert np.array_equal(held.astype(np.float64), wanted.astype(np.float64))
    plan.verify(model)
    assert plan.audit(model).ok


def test_a_plan_is_applied_saved_and_verified(tmp_path: Any) -> None:
    plan = fanin.plan(small(), X)
    fanin.Plan.load(plan.save(tmp_path / "plan.toml")).apply(model := small(), 7).verify(model)
    assert plan.apply(model, 7).audit(model).ok
    model.layers[1].kernel.assign(10 * model.layers[1].kernel)
    with pytest.raises(FaninError, match=r"layers\.dense_1\.weight holds other values than seed 7"):
        plan.verify(model, 7)
    assert [item.name for item in plan.audit(model).findings] == ["layers.dense_1.weight"]
    assert plan.diff(model) == ()


@traced
def test_inputs_come_as_the_model_takes_them() -> None:
    given = {"a": keras.Input((4,), name="a"), "b": keras.Input((3,), name="b")}
    x = layers.Concatenate()([layers.Dense(4)(given["a"]), layers.Dense(4)(given["b"])])
    by_name = keras.Model(given, layers.Dense(2)(x))
    arrays = {"b": np.zeros((2, 3), np.float32), "a": np.zeros((2, 4), np.float32)}
    tables = {
        str(fanin.plan(by_name, inputs)) for inputs in (arrays, (arrays,), {"inputs": arrays})
    }
    tables.add(
        str(fanin.plan(by_name, {name: keras.KerasTensor(v.shape) for name, v in arrays.items()}))
    )
    assert len(tables) == 1
    listed = keras.Model([*given.values()], layers.Dense(2)(x))
    assert "made without" not in str(fanin.plan(listed, [arrays["a"], arrays["b"]]))
    assert str(fanin.plan(small(), keras.KerasTensor((None, 6)))) == str(fanin.plan(small(), X))


@traced
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_zeros_put_around_a_map_are_those_of_padding(rank: int) -> None:
    def plan(padded: bool) -> str:
        keras.utils.clear_session()
        conv = getattr(layers, f"Conv{rank}D")
        own = {"padding": "valid" if padded else "same"}
        zeros = [getattr(layers, f"ZeroPadding{rank}D")(1)] if padded else []
        behind = [layers.ReLU(), *zeros, conv(4, 3, **own)]
        model = keras.Sequential([conv(4, 3, padding="same"), *behind])
        x = np.zeros((2, *(4,) * rank, 3), np.float32)
        model(x)
        return str(fanin.plan(model, x)[f"layers.conv{rank}d_1.weight"].why)

    assert plan(padded=True) == plan(padded=False)
    assert "is left" in plan(padded=True)


@traced
def test_a_model_that_takes_no_training_runs_in_train_mode_and_may_be_told_otherwise() -> None:
    class Plain(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense, self.norm = layers.Dense(4), layers.BatchNormalization()

        def call(self, x: Any) -> Any:
            return self.norm(self.dense(x))

    model = Plain()
    model(np.zeros((2, 3), np.float32))
    nodes = adapter_for(model).target(model).trace(np.zeros((2, 3), np.float32)).nodes
    assert "normalize" in {node.op for node in nodes}
    told = {"inputs": np.zeros((2, 6), np.float32), "training": False}
    assert fanin.plan(small(), told)["layers.dense.weight"].initializer is not None


def test_frozen_variables_are_kept() -> None:
    model = small()
    model.layers[0].trainable = False
    before = values_of(model)
    plan = fanin.initialize(model, 3, X)
    assert plan["layers.dense.weight"].initializer is None
    after = values_of(model)
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])
    plan.verify(model)


def test_running_statistics_start_anew_with_the_weights() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.BatchNormalization()])
    model.layers[1].moving_mean.assign(np.ones(5))
    plan = fanin.initialize(model, 3, X)
    assert any("running statistics start anew" in note for note in plan.notes)
    assert not keras.ops.convert_to_numpy(model.layers[1].moving_mean).any()


@pytest.mark.filterwarnings("default:.* the same numbers as another:fanin.errors.FaninWarning")
def test_models_that_come_out_equal_are_told_until_one_is_trained() -> None:
    first, second, third = small(), small(), small()
    fanin.initialize(first, 11, X)
    with pytest.warns(FaninWarning, match=r"layers\.dense\.weight, layers\.dense_1\.weight get"):
        fanin.initialize(second, 11, X)
    second.layers[0].kernel.assign(0.5 * second.layers[0].kernel)
    fanin.initialize(third, 11, X)  # trained, so no twin


@traced
def test_a_run_leaves_the_model_as_it_was() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.BatchNormalization()])
    model.add(layers.Dropout(0.5, seed=1))
    model.add(layers.Dense(2))
    held, before = [item._value for item in model.variables], values_of(model)
    fanin.plan(model, np.ones((4, 6), np.float32))
    assert all(item._value is value for item, value in zip(model.variables, held, strict=True))
    assert all(map(np.array_equal, before, values_of(model)))
    assert not any("call" in vars(layer) for layer in model.layers)
    with pytest.raises(FaninError):
        fanin.plan(model, np.ones((4, 7), np.float32))
    assert not any("call" in vars(layer) for layer in model.layers)
    assert all(map(np.array_equal, before, values_of(model)))


class Unbuilt(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.head = layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.head(x)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: fanin.plan(Unbuilt()), r"head has no variables yet: call model\.build\("),
        (
            lambda: fanin.plan(keras.Sequential([layers.Dense(3)]), X),
            r"have no variables yet: call",
        ),
        (lambda: fanin.plan(layers.Dense), "It is a class: call it"),
        (
            lambda: fanin.plan(small(), "x"),
            "inputs is a str; it is an array or a keras.KerasTensor",
        ),
        (lambda: fanin.plan(small(), keras.KerasTensor((2, None))), "give all its sizes"),
        (lambda: fanin.initialize(small(), 0, X, device="cpu"), "device is given for a model of"),
        (lambda: fanin.initialize(small(), 0, X, shards={}), "spread by keras.distribution"),
        (lambda: fanin.initialize(small(), 0, X, buffers={}), "buffers is given for a model of"),
        (lambda: fanin.initialize(small(), X), "The inputs come third"),
        (lambda: fanin.initialize(small(), 0, X, "lsuv"), "recipes that measure, such as lsuv"),
        (lambda: fanin.initialize(small(), 0, X, prefix=""), None),
        (
            lambda: fanin.plan(small(), X).apply(
                keras.Sequential([keras.Input((4,)), layers.Dense(5)])
            ),
            r"layers\.dense\.weight has shape \(4, 5\); the plan was made for \(6, 5\)",
        ),
    ],
)
def test_errors_say_what_to_do(wrong: Callable[[], object], message: str | None) -> None:
    if message is None:
        wrong()
        return
    with pytest.raises(FaninError, match=message):
        wrong()


def test_a_failed_call_leaves_the_model_as_it_was() -> None:
    model = small()
    before = values_of(model)
    given = {"layers.dense_1.bias": "he_normal"}  # one axis has no fans
    with pytest.raises(FaninError, match="has no fan-in"):
        fanin.initialize(model, 0, X, overrides=given)
    assert all(map(np.array_equal, before, values_of(model)))


on_torch = pytest.mark.skipif(keras.config.backend() != "torch", reason="it is torch's alone")


@on_torch
def test_a_model_without_memory_is_refused() -> None:
    with keras.device("meta"):
        model = small()
    with pytest.raises(FaninError, match=r"layers\.dense\.weight.* have no memory"):
        fanin.plan(model)


@traced
@pytest.mark.parametrize("kind", [None, layers.LSTM])
def test_a_check_runs_the_model_and_leaves_it_as_it_was(kind: Any) -> None:
    head = [keras.Input((7, 6)), kind(8)] if kind else [keras.Input((6,)), layers.Dense(64)]
    model = keras.Sequential([*head, layers.BatchNormalization(), layers.Dropout(0.1, seed=1)])
    model.add(layers.Dense(3))
    x = np.random.default_rng(0).standard_normal((32, *model.input_shape[1:])).astype(np.float32)
    fanin.initialize(model, 0, x)
    before = values_of(model)
    found = fanin.check(model, x, np.arange(32) % 3)
    assert found.ok("error"), found
    assert f"keras {keras.__version__} on {keras.config.backend()} " in str(found)
    assert all(map(np.array_equal, before, values_of(model)))
    model.layers[-1].kernel.assign(1000 * model.layers[-1].kernel)
    assert "F11" in {item.id for item in fanin.check(model, x, np.arange(32) % 3).findings}
    with pytest.raises(FaninError, match="does not run on these inputs"):
        fanin.check(model, x[..., :3])
    with pytest.raises(FaninError, match="without values, and a checkup runs the model"):
        fanin.check(model, keras.KerasTensor(x.shape))
    assert all(map(np.array_equal, before[:-2], values_of(model)))


@traced
@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        ("sparse_categorical_crossentropy", np.arange(32) % 3),
        (keras.losses.CategoricalCrossentropy(), np.eye(3, dtype="float32")[np.arange(32) % 3]),
        (keras.losses.mean_squared_error, np.zeros((32, 3), "float32")),
    ],
)
def test_a_compiled_model_is_checked_by_its_loss(loss: Any, targets: Any) -> None:
    """It wants probabilities, and gets them; what is given by hand comes first."""
    model = keras.Sequential(
        [keras.Input((16,)), layers.Dense(64, "relu"), layers.Dense(3, "softmax")]
    )
    x = np.random.default_rng(0).normal(size=(32, 16)).astype("float32")
    model.compile("adam", loss)
    measured = keras.losses.get(loss)(targets, model(x))
    expected = float(keras.ops.convert_to_numpy(measured).mean())
    found = fanin.check(model, x, targets, optimizer="sgd", lr=0.01, steps=1)
    assert found.conditions.loss == "given"
    assert "F18" not in {item.id for item in found.findings}
    assert f"loss {expected:.3g} to" in str(found)
    by_hand = fanin.check(model, x, targets, loss=lambda output, _: (output**4).sum())
    assert by_hand.to_json() != fanin.check(model, x, targets).to_json()


@traced
def test_a_check_of_a_factory_and_of_named_inputs() -> None:
    given = {"a": keras.Input((4,), name="a"), "b": keras.Input((3,), name="b")}

    def make() -> Any:
        return keras.Model(given, layers.Dense(2)(layers.Concatenate()([*given.values()])))

    inputs = {name: np.eye(4, size, dtype=np.float32) for name, size in (("b", 3), ("a", 4))}
    assert fanin.check(make, inputs, draws=2).conditions.parameters == 16
    assert (
        fanin.check(make(), inputs).conditions.inputs
        == fanin.check(make(), (inputs,)).conditions.inputs
    )
    assert fanin.check(small, shape=(6,)).conditions.mode == "train"


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="the others run")
def test_a_check_on_tensorflow_is_refused() -> None:
    with pytest.raises(FaninError, match=r"runs it on JAX or torch, .* KERAS_BACKEND=jax or torch"):
        fanin.check(small(), X)


@on_torch
def test_a_layer_inside_of_a_torch_module_is_refused_with_the_road_to_take() -> None:
    around = torch.nn.Sequential(torch.nn.Linear(6, 6), small())
    with pytest.raises(FaninError, match="Pass the Keras model or layer itself"):
        fanin.initialize(around)


@traced
def test_a_new_head_is_sized_by_what_the_kept_layers_give() -> None:
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(16, activation="exponential"), layers.Dense(3)]
    )
    x = 0.5 + np.random.default_rng(0).standard_normal((32, 6)).astype(np.float32)
    before = values_of(model)
    plan = fanin.plan(model, x, only="layers.dense_1.*")
    assert (
        "what kept weights alone make of the inputs counts as it was measured on them."
        in plan.notes
    )
    seen = np.exp(x @ before[0] + before[1])
    wanted = 1 / np.sqrt(16 * np.square(seen).mean())
    assert plan["layers.dense_1.weight"].std == pytest.approx(wanted, rel=1e-4)
    assert all(map(np.array_equal, before, values_of(model)))
    notes = fanin.plan(model, keras.KerasTensor((2, 6)), only="layers.dense_1.*").notes
    assert any("have no values to run with" in note for note in notes)


@traced
def test_weights_behind_a_spectral_norm_are_sized_and_drawn() -> None:
    """Of one output, too: with it a critic ends."""
    layers = [keras.layers.SpectralNormalization(keras.layers.Dense(size)) for size in (8, 1)]
    model, x = keras.Sequential([keras.Input((4,)), *layers]), np.ones((2, 4), "float32")
    before = keras.ops.convert_to_numpy(layers[1].vector_u)
    plan = fanin.initialize(model, 0, x, strict=True)
    weights = [row for name, row in plan.items() if name.endswith("weight")]
    assert len(weights) == 2
    for row in weights:
        assert row.initializer is not None
        assert keras.config.backend() == "tensorflow" or "any size gives the same" in row.why
    plan.verify(model)
    assert (keras.ops.convert_to_numpy(layers[1].vector_u) == before).all()


def test_the_gates_of_a_recurrent_layer_show_on_every_back_end() -> None:
    model = keras.Sequential([keras.Input((7, 6)), layers.GRU(8), layers.Dense(3)])
    row = fanin.plan(model, keras.KerasTensor((2, 7, 6)))["layers.gru.cell.weight"]
    assert (row.axes.blocks, row.fans.fan_out) == ((8, 8, 8), 8)


def test_a_back_end_that_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small()
    before = values_of(model)
    another = types.ModuleType("keras")  # which keras.config.set_backend imports anew
    vars(another)["Layer"] = keras.Layer
    monkeypatch.setitem(sys.modules, "keras", another)
    with pytest.raises(FaninError, match="Choose it once, by the environment variable KERAS_BACK"):
        fanin.initialize(model, 0, X)
    monkeypatch.undo()
    assert all(map(np.array_equal, before, values_of(model)))
