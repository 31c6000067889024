"""Quantized weights: tensors that hold no plain numbers, named where numbers are asked."""

import torch
from torch import Tensor

from fanin.errors import FaninError


def refuse_quantized(name: str, weight: Tensor, why: str) -> None:
    """FaninError for a weight that holds no plain floating-point numbers; `why` they are needed."""
    if type(weight.data) is torch.Tensor and weight.is_floating_point():
        return
    own, dtype = type(weight).__name__, str(weight.dtype).removeprefix("torch.")
    kind = dtype if own in ("Tensor", "Parameter") else f"{dtype}, {own}"
    raise FaninError(
        f"{name} of shape {tuple(weight.shape)} is quantized ({kind}), and {why}. Start the "
        "adapter beside the weight in float and quantize it then, or take recipe auto."
    )
