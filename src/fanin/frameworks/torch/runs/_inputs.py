"""Inputs: what a model is called with, as positional and keyword arguments."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from fanin.errors import FaninError, an, quote
from fanin.frameworks.torch.runs._tensors import tensors_in

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def call_arguments(inputs: Any) -> Arguments:
    """A tensor (or a packed sequence), a tuple (positional) or a dict (keywords), checked."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(inputs, Tensor | PackedSequence):
        args = (inputs,)
    elif isinstance(inputs, tuple):
        args = tuple(inputs)
    elif isinstance(inputs, Mapping):
        kwargs = dict(inputs)
    else:
        raise FaninError(
            f"inputs is {an(type(inputs).__name__)}; it is a tensor, a tuple (positional) or a "
            f"dict (keywords). {_next_step(inputs)}"
        )
    for name in kwargs:
        if not isinstance(name, str):
            raise FaninError(f"inputs has the key {quote(name)}; its keys are names of arguments.")
    for tensor in tensors_in((args, kwargs)):
        if tensor.is_nested:
            raise FaninError(
                "inputs hold a nested tensor, which has no one shape. Pass it padded: "
                "torch.nested.to_padded_tensor(x, 0.0), with a mask where the model takes one."
            )
    return args, kwargs


def _next_step(inputs: Any) -> str:
    if isinstance(inputs, list):
        several = len(inputs) > 1 and all(isinstance(tensor, Tensor) for tensor in inputs)
        if several:
            return (
                "Of a batch of a DataLoader pass what the model is called with: inputs=batch[0], "
                "say, or tuple(batch) if it takes all."
            )
        return "A model that takes a list gets it as a tuple of one: ([...],)."
    if type(inputs).__module__ == "numpy":
        return "Pass torch.from_numpy(inputs)."
    return "Any other object goes into a tuple: (object,)."
