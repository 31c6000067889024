"""Quantized weights: tensors that stand for others, and those, where their library gives them."""

import sys

import torch
from torch import Tensor

from fanin.errors import FaninError, one_line
from fanin.streams import Array


def is_quantized(weight: Tensor) -> bool:
    """Whether a weight holds no plain floating-point numbers."""
    return _base_of(weight) is not torch.Tensor or not weight.is_floating_point()


def kind_of(weight: Tensor) -> str:
    """What it holds instead, in words."""
    own = type(weight).__name__
    plain = own in ("Tensor", "Parameter")
    dtype = str(weight.dtype).removeprefix("torch.")
    return dtype if plain else f"{dtype}, {own}"


def dequantize(name: str, weight: Tensor) -> Tensor:
    """The numbers that a weight stands for; FaninError where nothing here can tell them."""
    if not is_quantized(weight):
        return weight
    try:
        found = _dequantize(weight)
    except Exception as error:
        raise _unread(name, weight, f": {one_line(error, named=True)}") from None
    if found is None or not found.is_floating_point():
        raise _unread(name, weight, "")
    return found


def _dequantize(weight: Tensor) -> Tensor | None:
    state, bitsandbytes = getattr(weight, "quant_state", None), sys.modules.get("bitsandbytes")
    if state is not None and bitsandbytes is not None:
        found: Tensor = bitsandbytes.functional.dequantize_4bit(weight.data, state)
        return found
    scales: Tensor | None = getattr(weight, "SCB", None)
    if scales is not None:  # of bitsandbytes's rows in eight bits
        return weight.data.float() * (scales.float() / 127)[:, None]
    return weight.dequantize() if _base_of(weight) is not torch.Tensor else None


def _unread(name: str, weight: Tensor, why: str) -> FaninError:
    return FaninError(
        f"{name} of shape {tuple(weight.shape)} is quantized ({kind_of(weight)}), and the numbers "
        f"that it stands for cannot be read here{why}. Choose a start that reads none: 'eva'."
    )


def _base_of(weight: Tensor) -> type:
    return type(weight.data)


def as_array(tensor: Tensor) -> Array:
    """Values in float64, on the host."""
    array: Array = tensor.detach().to("cpu", torch.float64).numpy()
    return array
