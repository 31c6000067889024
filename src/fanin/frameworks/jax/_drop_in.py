"""JAX and Flax: a fanin initializer as the init(key, shape, dtype) that their layers call."""

import hashlib
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fanin import initializers
from fanin._arguments import check_seed, check_shape
from fanin.errors import FaninError, quote
from fanin.frameworks._layout import Roles, parse_kernel_axes
from fanin.initializers import Initializer
from fanin.streams import Array, Stream

__all__ = ["KernelInitializer", "initializer"]


@dataclass(frozen=True, slots=True, weakref_slot=True)  # jit keeps functions by weak references
class KernelInitializer:
    """What `initializer` makes: hashable and comparable, so that jit compiles a module once."""

    init: Initializer
    seed: int | None
    name: str
    axes: Roles
    groups: int

    def __call__(self, key: Any, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
        """The values of a kernel of this shape; `key` is not read where a seed was given.

        Under jit and vmap the host draws when the program runs. Raises FaninError while tracing.
        """
        sizes = check_shape(shape)
        encoding = jax.dtypes.canonicalize_dtype(dtype)
        axes = parse_kernel_axes(self.axes, sizes, self.groups)
        # Made by an operation, so that it is traced wherever this call is.
        words = _words(key) if self.seed is None else jnp.zeros(0, jnp.uint32)

        def draw(words: Any, **where: Any) -> Array:
            seed = _seed(np.asarray(words)) if self.seed is None else self.seed
            return self.init(sizes, seed=seed, name=self.name, dtype=encoding, axes=axes, **where)

        if not isinstance(words, jax.core.Tracer):
            return jnp.asarray(draw(words))
        draw(np.zeros(2, np.uint32), index=(slice(0, 0),) * len(sizes))  # all that can fail
        result = jax.ShapeDtypeStruct(sizes, encoding)  # type: ignore[no-untyped-call]
        drawn: jax.Array = jax.pure_callback(draw, result, words, vmap_method="sequential")
        return drawn


def initializer(
    init: str | Initializer,
    *,
    seed: int | None = None,
    name: str = "weight",
    axes: Roles = None,
    groups: int = 1,
) -> KernelInitializer:
    """An `init(key, shape, dtype=float32)` for the layers of JAX libraries.

    Without `seed`, the key's data is the seed (of an unsplit threefry key: the number it was
    made from), and layers differ by their keys. With `seed`, the key is not read: the values are
    fanin's for this seed and name, those of the torch weight of the same name, transposed; then
    give every parameter a name of its own.

    Args: `init`, an initializer, its name or its expression; `axes`, the roles in stored order,
    None for Flax's kernels, "kernel ... in out" (an embedding is "stack out"); `groups` of a
    convolution (feature_group_count). Raises FaninError for what it cannot read.

    >>> initializer("he_normal", seed=0, name="dense.weight")(None, (2, 3)).shape
    (2, 3)
    """
    if seed is not None:
        seed = check_seed(seed)
    Stream(0, name)  # checks the name
    return KernelInitializer(initializers.get(init), seed, name, axes, groups)


def _words(key: Any) -> jax.Array:
    """The uint32 words of one key, typed or raw."""
    try:
        words = jax.random.key_data(key)
    except TypeError:
        raise FaninError(f"key is {quote(key)}; give a jax.random.key, or a seed.") from None
    if words.ndim != 1:
        raise FaninError(f"key has shape {words.shape[:-1]}; give one key, or use jax.vmap.")
    return words


def _seed(words: Array) -> int:
    """64 bits of a key: threefry's two words themselves, a hash of longer ones."""
    if len(words) == 2:
        return int(words[0]) << 32 | int(words[1])
    digest = hashlib.blake2b(words.astype("<u4").tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
