"""Nets of Haiku: those of hk.nets, and its examples' recurrent network and transformer."""

from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp

from bench.zoo.jax_keras.models import TreeModel, noise, tokens


def perceptron(x: Any, train: bool) -> Any:
    """hk.nets.MLP."""
    return hk.nets.MLP([256, 128, 10])(x)


def mobile(x: Any, train: bool) -> Any:
    """hk.nets.MobileNetV1, in the first half of its strides."""
    return hk.nets.MobileNetV1((1, 2, 2), (32, 64, 128), 10)(x, train)


def residual(x: Any, train: bool) -> Any:
    """hk.nets.ResNet, small, normalization last."""
    return hk.nets.ResNet(
        (1, 1), 10, bottleneck=False, channels_per_group=(32, 64), use_projection=(False, True)
    )(x, train)


def characters(x: Any, train: bool) -> Any:
    """The character model: two layers of LSTM with skip connections."""
    core = hk.deep_rnn_with_skip_connections([hk.LSTM(64), hk.LSTM(64)])
    out, _ = hk.dynamic_unroll(core, jax.nn.one_hot(x.T, 50), core.initial_state(len(x)))
    return hk.BatchApply(hk.Linear(50))(out)


def language(x: Any, train: bool) -> Any:
    """The transformer example, normalization first; its scales of weights are left out."""
    h = hk.Embed(200, 64)(x) + hk.get_parameter(
        "places", (x.shape[1], 64), init=hk.initializers.TruncatedNormal(0.02)
    )
    mask = jnp.tril(jnp.ones((1, 1, x.shape[1], x.shape[1])))
    for _ in range(3):
        y = hk.LayerNorm(-1, True, True)(h)
        start = hk.initializers.VarianceScaling(1.0)
        h = h + hk.MultiHeadAttention(4, 16, w_init=start, model_size=64)(y, y, y, mask)
        y = hk.Linear(256)(hk.LayerNorm(-1, True, True)(h))
        h = h + hk.Linear(64)(jax.nn.gelu(y))
    return hk.Linear(200)(hk.LayerNorm(-1, True, True)(h))


def build(net: Callable[[Any, bool], Any], batch: Any) -> TreeModel:
    """A net's function of its parameters, with the state that it starts with."""
    model: Any = hk.without_apply_rng(hk.transform_with_state(net))
    params, state = model.init(jax.random.key(0), batch, True)

    def apply_in(train: bool) -> Callable[[Any, Any], Any]:
        return lambda params, x: model.apply(params, state, x, train)[0]

    return TreeModel(apply_in, params, lambda train: batch)


MODELS: dict[str, Callable[[], TreeModel]] = {
    "haiku/mlp": lambda: build(perceptron, noise(64)),
    "haiku/mobilenet": lambda: build(mobile, noise(32, 32, 3)),
    "haiku/resnet": lambda: build(residual, noise(32, 32, 3)),
    "haiku/characters": lambda: build(characters, tokens(50, 12)),
    "haiku/transformer": lambda: build(language, tokens(200, 24)),
}
