"""Models of Equinox by the idioms of its examples: modules of one input, mapped over a batch."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from bench.zoo.jax_keras.models import EquinoxModel, noise, tokens


class Classifier(eqx.Module):
    """The convolutional network of the MNIST example."""

    layers: list[Any]

    def __init__(self, key: Any) -> None:
        keys = jax.random.split(key, 4)
        self.layers = [
            eqx.nn.Conv2d(1, 3, 4, key=keys[0]),
            eqx.nn.MaxPool2d(2),
            jax.nn.relu,
            jnp.ravel,
            eqx.nn.Linear(3 * 24 * 24, 512, key=keys[1]),
            jax.nn.sigmoid,
            eqx.nn.Linear(512, 64, key=keys[2]),
            jax.nn.relu,
            eqx.nn.Linear(64, 10, key=keys[3]),
            jax.nn.log_softmax,
        ]

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x


class Sequences(eqx.Module):
    """The RNN example: a GRU cell over the steps, and a line from its last state."""

    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        first, second = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(8, 64, key=first)
        self.head = eqx.nn.Linear(64, 3, key=second)

    def __call__(self, x: Any) -> Any:
        state, _ = jax.lax.scan(lambda h, step: (self.cell(step, h), None), jnp.zeros(64), x)
        return self.head(state)


class Block(eqx.Module):
    """Attention and a perceptron, normalization first or last."""

    attention: eqx.nn.MultiheadAttention
    norms: list[eqx.nn.LayerNorm]
    wide: eqx.nn.Linear
    back: eqx.nn.Linear
    last: bool

    def __init__(self, width: int, last: bool, key: Any) -> None:
        keys = jax.random.split(key, 3)
        self.attention = eqx.nn.MultiheadAttention(4, width, key=keys[0])
        self.norms = [eqx.nn.LayerNorm(width) for _ in range(2)]
        self.wide = eqx.nn.Linear(width, 4 * width, key=keys[1])
        self.back = eqx.nn.Linear(4 * width, width, key=keys[2])
        self.last = last

    def __call__(self, x: Any) -> Any:
        first, second = map(jax.vmap, self.norms)
        h = x if self.last else first(x)
        x = x + self.attention(h, h, h)
        x = first(x) if self.last else x
        h = jax.vmap(self.wide)(x if self.last else second(x))
        x = x + jax.vmap(self.back)(jax.nn.gelu(h))
        return second(x) if self.last else x


class Bert(eqx.Module):
    """The BERT example: tables of words, places and segments, normalization last."""

    words: eqx.nn.Embedding
    places: eqx.nn.Embedding
    norm: eqx.nn.LayerNorm
    blocks: list[Block]
    pooler: eqx.nn.Linear
    head: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        keys = jax.random.split(key, 7)
        self.words = eqx.nn.Embedding(200, 64, key=keys[0])
        self.places = eqx.nn.Embedding(24, 64, key=keys[1])
        self.norm = eqx.nn.LayerNorm(64)
        self.blocks = [Block(64, True, key=each) for each in keys[2:5]]
        self.pooler = eqx.nn.Linear(64, 64, key=keys[5])
        self.head = eqx.nn.Linear(64, 2, key=keys[6])

    def __call__(self, x: Any) -> Any:
        x = jax.vmap(self.words)(x) + jax.vmap(self.places)(jnp.arange(len(x)))
        x = jax.vmap(self.norm)(x)
        for block in self.blocks:
            x = block(x)
        return self.head(jnp.tanh(self.pooler(x[0])))


class Vision(eqx.Module):
    """The vision transformer example: patches, a class token, places, normalization first."""

    patches: eqx.nn.Conv2d
    token: Any
    places: Any
    blocks: list[Block]
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear

    def __init__(self, key: Any) -> None:
        keys = jax.random.split(key, 7)
        self.patches = eqx.nn.Conv2d(3, 64, 4, 4, key=keys[0])
        self.token = jax.random.normal(keys[1], (1, 64))
        self.places = jax.random.normal(keys[2], (65, 64))
        self.blocks = [Block(64, False, key=each) for each in keys[3:6]]
        self.norm = eqx.nn.LayerNorm(64)
        self.head = eqx.nn.Linear(64, 10, key=keys[6])

    def __call__(self, x: Any) -> Any:
        x = self.patches(x).reshape(64, -1).T
        x = jnp.concatenate([self.token, x]) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[0]))


def build(make: Callable[[Any], eqx.Module], batch: Any) -> EquinoxModel:
    """A model and a batch for it."""
    return EquinoxModel(make(jax.random.key(0)), batch)


MODELS: dict[str, Callable[[], EquinoxModel]] = {
    "equinox/mlp": lambda: build(lambda key: eqx.nn.MLP(16, 10, 128, 4, key=key), noise(16)),
    "equinox/mnist": lambda: build(Classifier, noise(1, 28, 28)),
    "equinox/rnn": lambda: build(Sequences, noise(12, 8)),
    "equinox/bert": lambda: build(Bert, tokens(200, 24)),
    "equinox/vit": lambda: build(Vision, noise(3, 32, 32)),
}
