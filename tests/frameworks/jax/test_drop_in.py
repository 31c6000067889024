"""The JAX adapter: initializers that JAX and Flax layers call."""

from collections.abc import Callable
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from fanin import FaninError, initializers
from fanin.axes import Axes
from fanin.frameworks.jax import initializer
from fanin.gains._callables import double_precision

KEY = jax.random.key(7)


def of_torch(
    shape: tuple[int, ...], seed: int, name: str = "weight", dtype: str = "float32"
) -> Any:
    """he_normal's values for a torch weight (out, in, kernel ...), as a (kernel ..., in, out)."""
    *kernel, inputs, outputs = shape
    weight = initializers.he_normal()((outputs, inputs, *kernel), seed=seed, name=name, dtype=dtype)
    return weight.transpose(*range(2, weight.ndim), 1, 0)


@given(
    kernel=st.lists(st.integers(1, 3), max_size=3),
    inputs=st.integers(1, 6),
    outputs=st.integers(1, 6),
    seed=st.integers(0, 2**64 - 1),
)
def test_a_seed_and_a_name_make_the_transposed_torch_weight(
    kernel: list[int], inputs: int, outputs: int, seed: int
) -> None:
    shape = (*kernel, inputs, outputs)
    drawn = initializer("he_normal", seed=seed, name="dense.weight")(KEY, shape)
    assert np.array_equal(drawn, of_torch(shape, seed, "dense.weight"))


@pytest.mark.parametrize("seed", [0, 7, 2**31])
def test_an_unsplit_keys_number_is_the_seed(seed: int) -> None:
    typed, raw = jax.random.key(seed), jax.random.PRNGKey(seed)
    expected = of_torch((4, 3), seed)
    assert np.array_equal(initializer("he_normal")(typed, (4, 3)), expected)
    assert np.array_equal(initializer("he_normal")(raw, (4, 3)), expected)


@pytest.mark.parametrize("implementation", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_every_key_has_a_seed_of_its_own(implementation: str) -> None:
    key = jax.random.key(7, impl=implementation)
    keys = [key, *jax.random.split(key, 5)]
    draw = initializer("normal")
    drawn = [tuple(np.asarray(draw(one, (4,))).tolist()) for one in keys]
    assert len(set(drawn)) == 6
    assert drawn[0] == tuple(np.asarray(draw(key, (4,))).tolist())


def test_all_64_bits_of_a_key_count() -> None:
    keys = [jax.random.wrap_key_data(jnp.array(words, jnp.uint32)) for words in ([1, 2], [2, 1])]
    for key, seed in zip(keys, (2**32 + 2, 2 * 2**32 + 1), strict=True):
        assert np.array_equal(initializer("he_normal")(key, (4, 3)), of_torch((4, 3), seed))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("init", [initializer("he_normal"), initializer("he_normal", seed=7)])
def test_jit_draws_the_same(init: Callable[..., jax.Array], dtype: str) -> None:
    expected = of_torch((2, 4, 3), 7, dtype=dtype)
    eager, traced = init(KEY, (2, 4, 3), dtype), jax.jit(init, static_argnums=(1, 2))
    for drawn in (
        eager,
        traced(KEY, (2, 4, 3), dtype),
        jax.jit(lambda: init(KEY, (2, 4, 3), dtype))(),
    ):
        assert drawn.dtype == dtype
        assert np.array_equal(drawn, expected)


def test_vmap_draws_one_after_the_other() -> None:
    init, keys = initializer("he_normal"), jax.random.split(KEY, 3)
    stacked = jax.vmap(lambda key: init(key, (4, 3)))(keys)
    assert np.array_equal(stacked, np.stack([init(key, (4, 3)) for key in keys]))
    seeded = jax.vmap(lambda key: initializer("he_normal", seed=7)(key, (4, 3)))(keys)
    assert np.array_equal(seeded, np.stack([of_torch((4, 3), 7)] * 3))


@pytest.mark.parametrize("init", [initializer("he_normal"), initializer("he_normal", seed=7)])
def test_eval_shape_draws_nothing(init: Callable[..., jax.Array]) -> None:
    shape = (2**20, 2**20)  # four terabytes
    for found in (
        jax.eval_shape(lambda key: init(key, shape, jnp.bfloat16), KEY),
        jax.eval_shape(lambda: init(KEY, shape, jnp.bfloat16)),
    ):
        assert (found.shape, found.dtype) == (shape, jnp.bfloat16)


def test_double_precision_follows_jax() -> None:
    init = initializer("he_normal", seed=7)
    assert init(KEY, (4, 3), None).dtype == jnp.float32
    assert init(KEY, (4, 3), float).dtype == jnp.float32
    with double_precision(jax):
        assert np.array_equal(init(KEY, (4, 3), jnp.float64), of_torch((4, 3), 7, dtype="float64"))


def test_complex_kernels() -> None:
    init = initializer("he_normal", seed=7)
    for drawn in (
        init(KEY, (4, 3), jnp.complex64),
        jax.jit(init, static_argnums=(1, 2))(KEY, (4, 3), jnp.complex64),
    ):
        assert np.array_equal(drawn, of_torch((4, 3), 7, dtype="complex64"))


def test_axes_and_groups() -> None:
    table = initializer("variance_scaling(1.0, 'fan_out', 'normal')", seed=1, axes="stack out")
    expected = initializers.variance_scaling(1.0, "fan_out", "normal")(
        (5, 4), seed=1, name="weight", axes="stack out"
    )
    assert np.array_equal(table(KEY, (5, 4)), expected)
    for grouped in (
        initializer(initializers.he_normal("fan_out"), seed=1, groups=2),
        initializer(
            "he_normal('fan_out')", seed=1, axes=Axes(("kernel", "kernel", "in", "out"), groups=2)
        ),
    ):
        weight = initializers.he_normal("fan_out")((4, 6, 3, 3), seed=1, name="weight", groups=2)
        assert np.array_equal(grouped(KEY, (3, 3, 6, 4)), weight.transpose(2, 3, 1, 0))


def test_biases_and_scalars() -> None:
    assert np.array_equal(initializer("ones")(KEY, (4,)), np.ones(4))
    assert initializer("normal")(KEY, ()).shape == ()
    assert jax.jit(lambda key: initializer("normal")(key, ()))(KEY).shape == ()


def test_linen_layers_take_it() -> None:
    init = initializer("he_normal", seed=0, name="dense.weight")
    for layer, shape in (
        (flax.linen.Dense(3, kernel_init=init), (4, 3)),
        (flax.linen.Conv(3, (5, 2), kernel_init=init), (5, 2, 4, 3)),
    ):
        x = jnp.ones((1, 8, 8, 4))
        params = layer.init(KEY, x)["params"]
        assert np.array_equal(params["kernel"], of_torch(shape, 0, "dense.weight"))
        jitted = jax.jit(layer.init)(KEY, x)["params"]
        assert np.array_equal(jitted["kernel"], params["kernel"])
        assert layer.apply({"params": params}, x).shape == (1, 8, 8, 3)


def test_nnx_layers_take_it_and_differ_by_their_keys() -> None:
    init = initializer("he_normal")
    rngs = nnx.Rngs(0)
    layers = [nnx.Linear(4, 3, kernel_init=init, rngs=rngs) for _ in range(2)]
    first, second = (np.asarray(layer.kernel[...]) for layer in layers)
    assert not np.array_equal(first, second)
    again = nnx.Linear(4, 3, kernel_init=init, rngs=nnx.Rngs(0))
    assert np.array_equal(again.kernel[...], first)
    assert nnx.Conv(4, 3, (5, 2), kernel_init=init, rngs=rngs).kernel.shape == (5, 2, 4, 3)
    shapes = nnx.eval_shape(lambda: nnx.Linear(4, 3, kernel_init=init, rngs=nnx.Rngs(0)))
    assert shapes.kernel.shape == (4, 3)


def test_equal_initializers_compile_once() -> None:
    one, other = (initializer("he_normal", seed=1, name="a") for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != initializer("he_normal", seed=1, name="b")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: initializer("he_nomal"), "did you mean 'he_normal'"),
        (lambda: initializer("normal", name=""), "name is ''"),
        (lambda: initializer("normal", seed=-1), "seed is -1; a seed is an integer"),
        (lambda: initializer("normal")(None, (2, 3)), r"key is None; give a jax\.random\.key"),
        (lambda: initializer("normal")(3, (2, 3)), r"key is 3; give a jax\.random\.key, or a seed"),
        (
            lambda: initializer("normal")(jax.random.split(KEY), (2,)),
            r"shape \(2,\).*use jax\.vmap",
        ),
        (lambda: initializer("he_normal")(KEY, (3,)), r"shape \(3,\) has no fan-in"),
        (lambda: initializer("he_normal")(KEY, (4, 3), jnp.int32), "dtype is .*int32"),
        (lambda: initializer("he_normal", axes="in out")(KEY, (3,)), "names 2 axes of shape"),
    ],
)
def test_errors_say_what_to_do(wrong: Callable[[], object], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        wrong()


def test_errors_come_while_tracing() -> None:
    with pytest.raises(FaninError, match="has no fan-in"):
        jax.eval_shape(lambda key: initializer("he_normal")(key, (3,)), KEY)
