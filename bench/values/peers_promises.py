"""What other libraries' random numbers keep, and what they do not: docs/peers.md.

Each line is tried, not read: which draws agree where a user may expect them to.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import flax
import jax
import keras
import numpy as np
import torch
from flax import linen, nnx
from rich.console import Console
from rich.table import Table
from torch.func import _random as torch_keys

from fanin import Stream

WIDTH = 64
MANY = 1 << 20
_BFLOAT16 = jax.numpy.bfloat16
_SOME = slice(3, 7)
Pair = Sequence[object]
Tried = tuple[str, str, Callable[[], Pair]]


def _torch(shape: tuple[int, ...], threads: int = 1) -> torch.Tensor:
    torch.set_num_threads(threads)
    return torch.empty(shape).normal_(generator=torch.Generator().manual_seed(0))


def _keyed(shape: tuple[int, ...]) -> torch.Tensor:
    return torch_keys.normal(torch_keys.key(0), shape)


def _jax(shape: tuple[int, ...], dtype: Any = np.float32) -> jax.Array:
    return jax.random.normal(jax.random.key(0), shape, dtype)


def _keras(shape: tuple[int, ...]) -> np.ndarray:
    drawn = keras.initializers.RandomNormal(seed=0)(shape)
    return np.asarray(keras.ops.convert_to_numpy(drawn))


def _fanin(count: int, **options: Any) -> np.ndarray:
    return Stream(0, "weight").normal(count, **options)


def _torch_layers(before: int) -> torch.Tensor:
    torch.manual_seed(0)
    return [torch.nn.Linear(WIDTH, WIDTH) for _ in range(before + 1)][-1].weight.detach()


def _nnx_layers(before: int) -> jax.Array:
    rngs = nnx.Rngs(0)
    return [nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(before + 1)][-1].kernel[...]


def _keras_layers(before: int) -> np.ndarray:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(WIDTH) for _ in range(before + 1)]
    for layer in layers:
        layer.build((None, WIDTH))
    return np.asarray(keras.ops.convert_to_numpy(layers[-1].kernel))


class _Named(linen.Module):
    """Dense layers by their names."""

    names: tuple[str, ...]

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for name in self.names:
            x = linen.Dense(WIDTH, name=name)(x)
        return x


class _Nested(linen.Module):
    """Two blocks with a layer each."""

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return _Named(("bc",), name="a")(_Named(("c",), name="ab")(x))


def _made(model: linen.Module) -> Any:
    return model.init(jax.random.key(0), np.zeros((1, WIDTH), np.float32))["params"]


def _linen(*names: str) -> jax.Array:
    """The kernel of the last layer."""
    kernel: jax.Array = _made(_Named(names))[names[-1]]["kernel"]
    return kernel


def _linen_names() -> Pair:
    """Two layers whose names have the same 32 bits of SHA-1, which Linen folds into its key."""
    apart, seen = flax.config.flax_fix_rng_separator, dict[bytes, str]()
    for number in range(1 << 20):
        name = f"layer_{number}"
        path = (name.encode(), b"\x01")  # and how many draws the layer has made
        bits = hashlib.sha1(b"".join((b"\x00" if apart else b"") + part for part in path))
        other = seen.setdefault(bits.digest()[:4], name)
        if other != name:
            made = _made(_Named((other, name)))
            return made[other]["kernel"], made[name]["kernel"]
    raise AssertionError("no two names collide")


def _linen_nested() -> Pair:
    made = _made(_Nested())
    return made["a"]["bc"]["kernel"], made["ab"]["c"]["kernel"]


_PREFIX = "the first 12 of 15 values, and of 16"
_BEFORE = "a layer, and the same with one built before it"
_HALF = "bfloat16, and float32 rounded to it"
TRIED: list[Tried] = [
    ("torch.Generator", "with 1 thread, and with 2", lambda: (_torch((MANY,)), _torch((MANY,), 2))),
    ("torch.Generator", _PREFIX, lambda: (_torch((15,))[:12], _torch((16,))[:12])),
    ("torch.nn", _BEFORE, lambda: (_torch_layers(0), _torch_layers(1))),
    ("torch.func._random, on a CPU", _PREFIX, lambda: (_keyed((15,))[:12], _keyed((16,))[:12])),
    ("jax.random", _PREFIX, lambda: (_jax((15,))[:12], _jax((16,))[:12])),
    ("jax.random", _HALF, lambda: (_jax((64,), _BFLOAT16), _jax((64,)).astype(_BFLOAT16))),
    ("flax.nnx", _BEFORE, lambda: (_nnx_layers(0), _nnx_layers(1))),
    ("flax.linen", f"{_BEFORE}, by name", lambda: (_linen("a"), _linen("b", "a"))),
    ("flax.linen", "layers of two names whose 32 bits agree", _linen_names),
    ("flax.linen", "layer bc of block a, and c of ab", _linen_nested),
    ("keras", _PREFIX, lambda: (_keras((15,))[:12], _keras((16,))[:12])),
    ("keras", _BEFORE, lambda: (_keras_layers(0), _keras_layers(1))),
    ("fanin", "with 1 thread, and with 2", lambda: [_fanin(MANY, threads=n) for n in (1, 2)]),
    ("fanin", _PREFIX, lambda: (_fanin(15)[:12], _fanin(16)[:12])),
    ("fanin", "values 3 to 6, and of 99", lambda: (_fanin(99, index=_SOME), _fanin(99)[_SOME])),
    ("fanin", _HALF, lambda: (_fanin(64, dtype="bfloat16"), _fanin(64).astype(_BFLOAT16))),
]  # fmt: skip


def main() -> None:
    libraries = ("torch", "jax", "flax", "keras", "fanin")
    table = Table(title=", ".join(f"{name} {version(name)}" for name in libraries))
    for column in ("library", "compared", "equal"):
        table.add_column(column)
    for library, compared, draw in TRIED:
        try:
            pair = [np.asarray(one, np.float64) for one in draw()]
        except NotImplementedError:
            table.add_row(library, compared, "not implemented")
            continue
        table.add_row(library, compared, "yes" if np.array_equal(*pair) else "no")
    Console().print(table)


if __name__ == "__main__":
    main()
