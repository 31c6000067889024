"""JAX: models of Equinox, Flax and plain functions; an initializer that layers call."""

from fanin.frameworks.jax._adapter import built as built
from fanin.frameworks.jax._adapter import placed as placed
from fanin.frameworks.jax._adapter import subject as subject
from fanin.frameworks.jax._adapter import target as target
from fanin.frameworks.jax._drop_in import KernelInitializer, initializer

__all__ = ["KernelInitializer", "initializer"]
