"""Activations: the function that the layers of a functional model put before each weight."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

# Layers of these folders leave the law of a unit's value as it is, or nearly so.
_PASSED = tuple(f"keras.src.layers.{name}." for name in ("pooling", "regularization", "reshaping"))
_FUNCTIONS = "keras.src.layers.activations."


@dataclass(frozen=True, slots=True)
class NamedActivation:
    """A function of one tensor under the name that people call it by."""

    label: str
    fn: Callable[..., Any]

    def __call__(self, x: Any) -> Any:
        """The function's value; a NumPy array where Keras computes with TensorFlow."""
        value = self.fn(x)
        return keras.ops.convert_to_numpy(value) if _of_tensorflow() else value


def _of_tensorflow() -> bool:
    return bool(keras.config.backend() == "tensorflow")


def activations(layers: dict[str, Any]) -> dict[int, NamedActivation]:
    """The function before each layer of a functional or sequential model (ids), where one is.

    The way back goes over dropout, pooling and reshaping; a normalization, a sum and a nested
    model leave nothing. What a subclassed layer does inside is not seen.
    """
    found: dict[int, NamedActivation] = {}
    for layer in layers.values():
        nodes = getattr(layer, "_inbound_nodes", ())
        before = _behind(nodes[0]) if nodes else None
        if before is not None:
            found[id(layer)] = before
    return found


def _behind(node: Any) -> NamedActivation | None:
    """The function that the only input of a call comes from."""
    while len(node.parent_nodes) == 1:
        (node,) = node.parent_nodes
        if not _passes(node.operation):
            return _function(node.operation)
    return None


def _passes(operation: Any) -> bool:
    own = type(operation).__module__
    return own.startswith(_PASSED) or isinstance(operation, keras.layers.Identity)


def _function(operation: Any) -> NamedActivation | None:
    """What an operation does to each element last; None where that is nothing, or not known."""
    if isinstance(operation, (keras.layers.PReLU, keras.layers.RNN)):  # gates mix what they pass
        return None
    if type(operation).__module__.startswith(_FUNCTIONS) and not isinstance(
        operation, keras.layers.Activation
    ):
        return NamedActivation(type(operation).__name__, operation.call)
    function = getattr(operation, "activation", None)
    if not callable(function) or function is keras.activations.linear:
        return None
    if isinstance(function, keras.Layer):
        return NamedActivation(type(function).__name__, function.call)
    return NamedActivation(getattr(function, "__name__", type(function).__name__), function)
