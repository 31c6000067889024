"""The Keras adapter: initializers that Keras layers take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fanin import FaninError, FaninWarning, initializers
from fanin.axes import Axes
from fanin.frameworks import jax as jax_adapter
from fanin.frameworks.keras import KernelInitializer, initializer
from fanin.frameworks.torch import init as torch_init


def array(value: Any) -> np.ndarray:
    """A tensor or variable of Keras's torch back end."""
    tensor = getattr(value, "value", value)  # Keras 3.6 has variables that are no keras.Variable
    return tensor.detach().to(torch.float64).numpy()


@given(
    kernel=st.lists(st.integers(1, 3), max_size=3),
    inputs=st.integers(1, 6),
    outputs=st.integers(1, 6),
    seed=st.integers(0, 2**64 - 1),
    preset=st.sampled_from(["he_normal", "glorot_uniform", "lecun_truncated_normal"]),
)
def test_one_weight_has_the_same_bits_in_torch_flax_and_keras(
    kernel: list[int], inputs: int, outputs: int, seed: int, preset: str
) -> None:
    weight = initializers.get(preset)((outputs, inputs, *kernel), seed=seed, name="dense.weight")
    transposed = weight.transpose(*range(2, weight.ndim), 1, 0)
    shape = (*kernel, inputs, outputs)
    in_keras = initializer(preset, seed, name="dense.weight")(shape)
    in_flax = jax_adapter.initializer(preset, seed=seed, name="dense.weight")(None, shape)
    assert np.array_equal(in_keras.numpy(), transposed)
    assert np.array_equal(in_flax, transposed)
    functions = {"he_normal": "kaiming_normal_", "glorot_uniform": "xavier_uniform_"}
    if preset in functions:
        in_torch = torch.empty(weight.shape)
        getattr(torch_init, functions[preset])(in_torch, seed=seed, name="dense.weight")
        assert np.array_equal(in_torch.numpy(), weight)


def test_layers_of_three_frameworks_hold_the_same_weight() -> None:
    draw = {"seed": 3, "name": "stem.weight"}
    in_torch = torch.nn.Conv2d(4, 6, (3, 5))
    torch_init.kaiming_normal_(in_torch.weight, **draw)
    in_keras = keras.layers.Conv2D(6, (3, 5), kernel_initializer=initializer("he_normal", **draw))
    in_keras.build((None, 9, 9, 4))
    kernel_init = jax_adapter.initializer("he_normal", **draw)
    in_flax = flax.linen.Conv(6, (3, 5), kernel_init=kernel_init)
    kernel = in_flax.init(jax.random.key(0), jnp.ones((1, 9, 9, 4)))["params"]["kernel"]
    assert np.array_equal(array(in_keras.kernel), kernel)
    assert np.array_equal(in_torch.weight.detach().permute(2, 3, 1, 0), kernel)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_dtypes(dtype: str) -> None:
    drawn = initializer("he_normal", 5, name="a")((4, 3), dtype=dtype)
    assert keras.backend.standardize_dtype(drawn.dtype) == dtype
    weight = initializers.he_normal()((3, 4), seed=5, name="a", dtype=dtype)
    assert np.array_equal(array(drawn), weight.T.astype(np.float64))


def test_the_dtype_is_keras_own_by_default() -> None:
    before = keras.config.floatx()
    try:
        keras.config.set_floatx("float64")
        assert initializer("normal", name="a")((2, 3)).dtype == torch.float64
    finally:
        keras.config.set_floatx(before)
    assert initializer("normal", name="a")((2, 3)).dtype == torch.float32


def test_config_makes_it_again() -> None:
    own = initializer("kaiming_normal('fan_out')", 7, name="a", axes="kh kw in out", groups=2)
    assert own.get_config() == {
        "init": repr(initializers.he_normal("fan_out")),
        "seed": 7,
        "name": "a",
        "axes": "kh kw in out",
        "groups": 2,
    }
    for copy in (
        KernelInitializer.from_config(own.get_config()),
        keras.initializers.deserialize(keras.initializers.serialize(own)),
        own.clone(),
    ):
        assert copy.get_config() == own.get_config()
        assert torch.equal(copy((3, 3, 2, 4)), own((3, 3, 2, 4)))
    grouped = initializers.he_normal("fan_out")((4, 2, 3, 3), seed=7, name="a", groups=2)
    assert np.array_equal(own((3, 3, 2, 4)).numpy(), grouped.transpose(2, 3, 1, 0))


def test_config_holds_arrays_in_full() -> None:
    own = initializer(initializers.constant(list(range(64))), name="a")
    copy = KernelInitializer.from_config(own.get_config())
    assert copy.init == own.init


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
def test_a_saved_model_keeps_it(tmp_path: Path) -> None:
    made = initializer("he_normal", 1, name="dense.kernel")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=made)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].kernel_initializer.get_config() == made.get_config()
    fresh = keras.models.clone_model(loaded)
    assert np.array_equal(array(fresh.layers[0].kernel), array(model.layers[0].kernel))


def test_layers_take_it_for_biases_and_tables() -> None:
    bias = initializer("uniform(-0.1, 0.1)", 1, name="dense.bias")
    dense = keras.layers.Dense(3, bias_initializer=bias)
    dense.build((None, 4))
    expected = initializers.uniform(-0.1, 0.1)((3,), seed=1, name="dense.bias")
    assert np.array_equal(array(dense.bias), expected)
    rows = initializer("normal(std=0.02)", 1, name="words", axes="stack out")
    table = keras.layers.Embedding(5, 4, embeddings_initializer=rows)
    table.build()
    expected = initializers.normal(std=0.02)((5, 4), seed=1, name="words", axes="stack out")
    assert np.array_equal(array(table.embeddings), expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: initializer("he_nomal", name="a"), "did you mean 'he_normal'"),
        (lambda: initializer("normal", name=""), "name is ''"),
        (lambda: initializer("normal", 1.5, name="a"), r"seed is 1\.5; a seed is an integer"),
        (lambda: initializer("normal", name="a", axes=Axes(("in",))), "give roles as text"),
        (lambda: initializer("he_normal", name="a")((3,)), r"shape \(3,\) has no fan-in"),
        (lambda: initializer("he_normal", name="a")((3, 4), "int32"), "dtype is 'int32'"),
    ],
)
def test_errors_say_what_to_do(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        wrong()


def test_kernels_that_would_be_equal_are_named() -> None:
    x = keras.Input((4, 8))
    shared = initializer("he_normal", 0, name="shared.weight")
    keras.layers.Dense(3, kernel_initializer=shared, name="one")(x)
    with pytest.warns(FaninWarning, match="used in two of shape .* and in one: they get the same"):
        keras.layers.Dense(3, kernel_initializer=shared, name="two")(x)
    copied = initializer("he_normal", 0, name="attention.weight")
    attention = keras.layers.MultiHeadAttention(2, 4, kernel_initializer=copied, name="mha")
    with pytest.warns(FaninWarning, match="used in mha/(key|value|attention_output) "):
        attention(x, x)


def test_a_layer_that_is_built_again_is_no_second_use() -> None:
    for _ in range(2):
        own = initializer("he_normal", 0, name="again.weight")
        layer = keras.layers.Dense(3, kernel_initializer=own, name="again")
        layer.build((None, 8))
    assert array(own((8, 3))).shape == (8, 3)
