"""JAX: models of Equinox, Flax and plain functions; an initializer that layers call."""

from fanin.frameworks.jax._drop_in import KernelInitializer, initializer

__all__ = ["KernelInitializer", "initializer"]
