"""Keras 3: its models, and an initializer that layers take."""

from fanin.frameworks.keras._drop_in import KernelInitializer, initializer

__all__ = ["KernelInitializer", "initializer"]
