"""Inputs: what a model is called with, as positional and keyword arguments."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from fanin.errors import FaninError, an, quote

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Leaf = Callable[[Any], Any]


def call_arguments(model: Any, inputs: Any, symbolic: Leaf) -> Arguments:
    """A tensor, a tuple (positional), a list or a dict as Keras takes it, checked.

    A dict whose keys are names of arguments of `call` holds keywords; another one is the first
    argument, as functional models with named inputs take it. Arrays become tensors of the back
    end, and `symbolic` makes one of a keras.KerasTensor, which has a shape and a type alone.
    """
    args: tuple[Any, ...] = (inputs,)
    kwargs: dict[str, Any] = {}
    if isinstance(inputs, tuple):
        args = inputs
    elif isinstance(inputs, Mapping) and inputs.keys() <= _names(model):
        args, kwargs = (), dict(inputs)
    elif not (_is_array(inputs) or isinstance(inputs, list | Mapping)):
        raise FaninError(
            f"inputs is {an(type(inputs).__name__)}; it is an array or a keras.KerasTensor, a "
            "tuple (positional), a list or a dict, as the model is called with."
        )

    def leaf(item: Any) -> Any:
        if isinstance(item, keras.KerasTensor):
            return symbolic(_set_sizes(item))
        return keras.ops.convert_to_tensor(item) if _is_array(item) else item

    # Dicts are walked here, and not by keras.tree, which sorts their keys.
    return tuple(_map(leaf, item) for item in args), {
        name: _map(leaf, item) for name, item in kwargs.items()
    }


def refuse_symbolic(tensor: keras.KerasTensor) -> None:
    """FaninError: of a shape alone nothing can be measured."""
    raise FaninError(
        f"inputs hold a keras.KerasTensor of shape {tuple(tensor.shape)} without values, and a "
        "checkup runs the model. Pass a batch of real data."
    )


def _map(leaf: Leaf, item: Any) -> Any:
    if isinstance(item, Mapping):
        return {name: _map(leaf, inner) for name, inner in item.items()}
    if isinstance(item, list | tuple):
        return type(item)(_map(leaf, inner) for inner in item)
    return leaf(item)


def _names(model: Any) -> set[str]:
    return set(inspect.signature(model.call).parameters)


def _is_array(item: Any) -> bool:
    return isinstance(item, keras.KerasTensor | np.ndarray) or keras.ops.is_tensor(item)


def _set_sizes(tensor: Any) -> Any:
    """The tensor with a batch of one where its size is open; FaninError for other open sizes."""
    shape = tuple(tensor.shape)
    if None in shape[1:]:
        raise FaninError(
            f"inputs hold a keras.KerasTensor of shape {quote(shape)}; give all its sizes but the "
            "first, which is the batch's."
        )
    sizes = tuple(1 if size is None else size for size in shape)
    return keras.KerasTensor(sizes, dtype=tensor.dtype)
