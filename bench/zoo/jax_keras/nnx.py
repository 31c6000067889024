"""Models of Flax NNX by the idioms of Flax's guides and examples."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import nnx

from bench.zoo.jax_keras.models import NnxModel, noise, tokens


class Classifier(nnx.Module):
    """The network of the MNIST tutorial: convolutions with batch norms and dropout."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.first = nnx.Conv(1, 32, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(32, rngs=rngs)
        self.drop = nnx.Dropout(0.025, rngs=rngs)
        self.second = nnx.Conv(32, 64, (3, 3), rngs=rngs)
        self.wide = nnx.Linear(3136, 256, rngs=rngs)
        self.late = nnx.Dropout(0.025, rngs=rngs)
        self.head = nnx.Linear(256, 10, rngs=rngs)
        self.pool = partial(nnx.avg_pool, window_shape=(2, 2), strides=(2, 2))

    def __call__(self, x: Any) -> Any:
        x = self.pool(nnx.relu(self.norm(self.drop(self.first(x)))))
        x = self.pool(nnx.relu(self.second(x)))
        x = nnx.relu(self.late(self.wide(x.reshape(len(x), -1))))
        return self.head(x)


class Coder(nnx.Module):
    """The VAE example without its sample: an encoder to a mean, and a decoder."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        sizes = ((784, 256), (256, 32), (32, 256), (256, 784))
        self.layers = nnx.List([nnx.Linear(*pair, rngs=rngs) for pair in sizes])

    def __call__(self, x: Any) -> Any:
        first, mean, back, last = self.layers
        return last(nnx.relu(back(mean(nnx.relu(first(x))))))


class Block(nnx.Module):
    """A decoder's block, normalization first."""

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.before, self.between = (nnx.LayerNorm(width, rngs=rngs) for _ in range(2))
        self.attention = nnx.MultiHeadAttention(4, width, decode=False, rngs=rngs)
        self.wide = nnx.Linear(width, 4 * width, rngs=rngs)
        self.back = nnx.Linear(4 * width, width, rngs=rngs)
        self.drop = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        mask = nnx.make_causal_mask(jnp.ones(x.shape[:2]))
        x = x + self.drop(self.attention(self.before(x), mask=mask))
        return x + self.drop(self.back(nnx.gelu(self.wide(self.between(x)))))


class Language(nnx.Module):
    """The miniGPT tutorial: tables of words and places, blocks, and a head."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.words, self.places = nnx.Embed(200, 64, rngs=rngs), nnx.Embed(24, 64, rngs=rngs)
        self.blocks = nnx.List([Block(64, rngs) for _ in range(3)])
        self.norm = nnx.LayerNorm(64, rngs=rngs)
        self.head = nnx.Linear(64, 200, use_bias=False, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.words(x) + self.places(jnp.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class Sentiment(nnx.Module):
    """An LSTM in both directions, and a perceptron on the mean of what it gives."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.words = nnx.Embed(200, 32, rngs=rngs)
        forward, backward = (nnx.RNN(nnx.OptimizedLSTMCell(32, 64, rngs=rngs)) for _ in range(2))
        self.both = nnx.Bidirectional(forward, backward)
        self.wide, self.head = nnx.Linear(128, 64, rngs=rngs), nnx.Linear(64, 2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.head(nnx.tanh(self.wide(self.both(self.words(x)).mean(1))))


def build(make: Callable[[nnx.Rngs], nnx.Module], batch: Any) -> NnxModel:
    """A model and a batch for it."""
    return NnxModel(make(nnx.Rngs(0)), batch)


MODELS: dict[str, Callable[[], NnxModel]] = {
    "nnx/mnist": lambda: build(Classifier, noise(28, 28, 1)),
    "nnx/vae": lambda: build(Coder, noise(784)),
    "nnx/minigpt": lambda: build(Language, tokens(200, 24)),
    "nnx/sentiment": lambda: build(Sentiment, tokens(200, 16)),
}
