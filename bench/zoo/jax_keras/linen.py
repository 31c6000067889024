"""Models of Flax Linen by the idioms of Flax's own examples and of papers written in it."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from bench.zoo.jax_keras.models import TreeModel, noise, tokens


class Classifier(nn.Module):
    """The convolutional network of the MNIST example."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.avg_pool(nn.relu(nn.Conv(32, (3, 3))(x)), (2, 2), (2, 2))
        x = nn.avg_pool(nn.relu(nn.Conv(64, (3, 3))(x)), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(256)(x.reshape(len(x), -1)))
        return nn.Dense(10)(x)


class Wide(nn.Module):
    """A wide residual network, normalization first: Zagoruyko and Komodakis."""

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 2

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        norm = partial(nn.BatchNorm, use_running_average=not train)
        conv = partial(nn.Conv, kernel_size=(3, 3), use_bias=False)
        x = conv(16)(x)
        for stage, width in enumerate(self.widths):
            for block in range(self.blocks):
                strides = (2, 2) if stage and not block else (1, 1)
                y = nn.relu(norm()(x))
                short = x if x.shape[-1] == width else nn.Conv(width, (1, 1), strides)(y)
                y = nn.relu(norm()(conv(width, strides=strides)(y)))
                x = short + conv(width)(nn.Dropout(0.3, deterministic=not train)(y))
        return nn.Dense(10)(nn.relu(norm()(x)).mean((1, 2)))


class Residual(nn.Module):
    """The ImageNet example's ResNet, its last scales zero, with four bottlenecks."""

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9)
        x = nn.relu(norm()(nn.Conv(32, (7, 7), (2, 2), padding=3, use_bias=False)(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        for width, strides in ((32, 1), (32, 1), (64, 2), (64, 1)):
            y = nn.relu(norm()(nn.Conv(width, (1, 1), use_bias=False)(x)))
            y = nn.relu(norm()(nn.Conv(width, (3, 3), strides, use_bias=False)(y)))
            y = nn.Conv(4 * width, (1, 1), use_bias=False)(y)
            y = norm(scale_init=nn.initializers.zeros_init())(y)
            if x.shape != y.shape:
                x = norm()(nn.Conv(4 * width, (1, 1), strides, use_bias=False)(x))
            x = nn.relu(x + y)
        return nn.Dense(10)(x.mean((1, 2)))


class Variational(nn.Module):
    """The VAE example: an encoder, a sample of the latents, a decoder."""

    @nn.compact
    def __call__(self, x: Any, key: Any) -> Any:
        h = nn.relu(nn.Dense(400)(x))
        mean, logvar = nn.Dense(20)(h), nn.Dense(20)(h)
        z = mean + jnp.exp(0.5 * logvar) * jax.random.normal(key, mean.shape)
        return nn.Dense(x.shape[-1])(nn.relu(nn.Dense(400)(z))), mean, logvar


class Sequences(nn.Module):
    """The seq2seq example: an LSTM encodes, another decodes from its last state."""

    @nn.compact
    def __call__(self, source: Any, target: Any) -> Any:
        table = nn.Embed(40, 32)
        state, _ = nn.RNN(nn.OptimizedLSTMCell(64), return_carry=True)(table(source))
        out = nn.RNN(nn.OptimizedLSTMCell(64))(table(target), initial_carry=state)
        return nn.Dense(40)(out)


class Sentiment(nn.Module):
    """The SST-2 example: an LSTM in both directions, and a perceptron."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.Embed(200, 64)(x)
        forward = nn.RNN(nn.OptimizedLSTMCell(64))
        backward = nn.RNN(nn.OptimizedLSTMCell(64), reverse=True, keep_order=True)
        x = nn.Bidirectional(forward, backward)(x).mean(1)
        return nn.Dense(2)(jnp.tanh(nn.Dense(64)(x)))


class Encoder(nn.Module):
    """The sequence tagging example: a transformer encoder with sinusoidal places."""

    causal: bool = False
    depth: int = 3

    @nn.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        mask = nn.make_causal_mask(x) if self.causal else None
        drop = partial(nn.Dropout, deterministic=not train)
        places = jnp.arange(x.shape[1])[:, None] / 10000 ** (jnp.arange(32) / 32)
        places = jnp.concatenate([jnp.sin(places), jnp.cos(places)], -1)
        x = drop(0.1)(nn.Embed(200, 64)(x) + places)
        for _ in range(self.depth):
            y = nn.SelfAttention(4, dropout_rate=0.1, deterministic=not train)(
                nn.LayerNorm()(x), mask
            )
            x = x + drop(0.1)(y)
            y = nn.gelu(nn.Dense(256)(nn.LayerNorm()(x)))
            x = x + drop(0.1)(nn.Dense(64)(drop(0.1)(y)))
        return nn.Dense(200)(nn.LayerNorm()(x))


class Translator(nn.Module):
    """The WMT example: encoder and decoder with attention across, one table for all words."""

    @nn.compact
    def __call__(self, source: Any, target: Any) -> Any:
        table = nn.Embed(200, 64, embedding_init=nn.initializers.normal(1.0))
        x, y = table(source), table(target)
        for _ in range(2):
            x = x + nn.SelfAttention(4)(nn.LayerNorm()(x))
            x = x + nn.Dense(64)(nn.relu(nn.Dense(256)(nn.LayerNorm()(x))))
        x = nn.LayerNorm()(x)
        for _ in range(2):
            y = y + nn.SelfAttention(4)(nn.LayerNorm()(y), nn.make_causal_mask(target))
            y = y + nn.MultiHeadDotProductAttention(4)(nn.LayerNorm()(y), x)
            y = y + nn.Dense(64)(nn.relu(nn.Dense(256)(nn.LayerNorm()(y))))
        return table.attend(nn.LayerNorm()(y)) / 8.0


class Gated(nn.Module):
    """The decoder of the Gemma example: RMSNorm, gated GELU, grouped queries by DenseGeneral."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        mask = nn.make_causal_mask(x)
        table = nn.Embed(200, 64)
        x = table(x) * 8.0
        for _ in range(3):
            h = nn.RMSNorm()(x)
            q = nn.DenseGeneral((4, 16), use_bias=False)(h)
            k, v = (nn.DenseGeneral((2, 16), use_bias=False)(h) for _ in range(2))
            y = nn.dot_product_attention(q, jnp.repeat(k, 2, 2), jnp.repeat(v, 2, 2), mask=mask)
            x = x + nn.DenseGeneral(64, axis=(-2, -1), use_bias=False)(y)
            h = nn.RMSNorm()(x)
            gate = nn.gelu(nn.Dense(192, use_bias=False)(h))
            x = x + nn.Dense(64, use_bias=False)(gate * nn.Dense(192, use_bias=False)(h))
        return table.attend(nn.RMSNorm()(x))


class Pixels(nn.Module):
    """PixelCNN: masked convolutions and gated residual blocks."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        def conv(width: int, first: bool, y: Any) -> Any:
            mask = jnp.ones((3, 3, y.shape[-1], width)).at[2:].set(0).at[1, 2:].set(0)
            mask = mask.at[1, 1].set(0 if first else 1)
            return nn.Conv(width, (3, 3), mask=mask)(y)

        x = conv(64, True, x)
        for _ in range(4):
            y, gate = jnp.split(conv(128, False, nn.elu(x)), 2, -1)
            x = x + jnp.tanh(y) * nn.sigmoid(gate)
        return nn.Conv(30, (1, 1))(nn.elu(x))


class Mixer(nn.Module):
    """MLP-Mixer, as its authors wrote it in Flax."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.Conv(64, (4, 4), (4, 4))(x).reshape(len(x), -1, 64)
        for _ in range(4):
            y = jnp.swapaxes(nn.LayerNorm()(x), 1, 2)
            y = nn.Dense(x.shape[1])(nn.gelu(nn.Dense(32)(y)))
            x = x + jnp.swapaxes(y, 1, 2)
            x = x + nn.Dense(64)(nn.gelu(nn.Dense(256)(nn.LayerNorm()(x))))
        return nn.Dense(10)(nn.LayerNorm()(x).mean(1))


class Graphs(nn.Module):
    """The molecules example: messages along edges, sums at nodes, one number for each graph."""

    nodes: int = 12

    @nn.compact
    def __call__(self, x: Any, senders: Any, receivers: Any) -> Any:
        x = nn.Dense(64)(x)
        for _ in range(3):
            pair = jnp.concatenate([x[senders], x[receivers]], -1)
            message = nn.Dense(64)(nn.relu(nn.LayerNorm()(nn.Dense(64)(pair))))
            got = jax.ops.segment_sum(message, receivers, self.nodes)
            x = x + nn.Dense(64)(nn.relu(nn.Dense(64)(jnp.concatenate([x, got], -1))))
        return nn.Dense(1)(x.mean(0))


class Actor(nn.Module):
    """The PPO example: convolutions of Atari frames, a policy and a value."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.relu(nn.Conv(32, (8, 8), (4, 4))(x))
        x = nn.relu(nn.Conv(64, (4, 4), (2, 2))(x))
        x = nn.relu(nn.Conv(64, (3, 3))(x))
        x = nn.relu(nn.Dense(512)(x.reshape(len(x), -1)))
        return nn.log_softmax(nn.Dense(6)(x)), nn.Dense(1)(x)


class Scanned(nn.Module):
    """Blocks whose weights lie in one array for all layers, by nn.scan."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        class Block(nn.Module):
            @nn.compact
            def __call__(self, x: Any, _: Any) -> Any:
                y = nn.silu(nn.Dense(128)(nn.LayerNorm()(x)))
                return x + nn.Dense(64)(y), None

        x = nn.Dense(64)(x)
        layers = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=6)
        x, _ = layers()(x, None)
        return nn.Dense(10)(nn.LayerNorm()(x))


def build(module: nn.Module, *batch: Any, modes: bool = False, dropout: bool = False) -> TreeModel:
    """A module with its variables, and what it is called with in train mode or not."""
    key = jax.random.key(0)

    def inputs(train: bool) -> Any:
        names = [*inspect.signature(type(module).__call__).parameters][1 : 1 + len(batch)]
        given: dict[str, Any] = dict(zip(names, batch, strict=True))
        if modes:
            given["train"] = train
        if dropout and train:
            given["rngs"] = {"dropout": key}
        return given

    call = {name: item for name, item in inputs(False).items() if name != "rngs"}
    return TreeModel(lambda train: module, jax.jit(lambda: module.init(key, **call))(), inputs)


def _edges() -> tuple[Any, Any, Any]:
    senders, receivers = tokens(12, 30)[:2]
    return noise(12, 8)[0], senders, receivers


_IMAGES = partial(noise, 32, 32, 3)
_WORDS = partial(tokens, 200, 24)

MODELS: dict[str, Callable[[], TreeModel]] = {
    "linen/mnist": lambda: build(Classifier(), noise(28, 28, 1)),
    "linen/wide_resnet": lambda: build(Wide(), _IMAGES(), modes=True, dropout=True),
    "linen/resnet": lambda: build(Residual(), noise(64, 64, 3), modes=True),
    "linen/vae": lambda: build(Variational(), noise(784), jax.random.key(1)),
    "linen/seq2seq": lambda: build(Sequences(), tokens(40, 8), tokens(40, 6)),
    "linen/sst2": lambda: build(Sentiment(), _WORDS()),
    "linen/nlp_seq": lambda: build(Encoder(), _WORDS(), modes=True, dropout=True),
    "linen/lm1b": lambda: build(Encoder(causal=True), _WORDS(), modes=True, dropout=True),
    "linen/wmt": lambda: build(Translator(), _WORDS(), tokens(200, 20)),
    "linen/gemma": lambda: build(Gated(), _WORDS()),
    "linen/pixelcnn": lambda: build(Pixels(), noise(16, 16, 3)),
    "linen/mixer": lambda: build(Mixer(), _IMAGES()),
    "linen/ogbg_molpcba": lambda: build(Graphs(), *_edges()),
    "linen/ppo": lambda: build(Actor(), noise(84, 84, 4)),
    "linen/scan": lambda: build(Scanned(), noise(32)),
}
