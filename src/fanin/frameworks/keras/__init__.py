"""Keras 3: its models, and an initializer that layers take."""

from fanin.frameworks.keras._drop_in import KernelInitializer as KernelInitializer
from fanin.frameworks.keras._drop_in import initializer as initializer

__all__ = ["KernelInitializer", "initializer"]
