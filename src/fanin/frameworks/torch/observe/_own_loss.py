"""Own loss: what a model of torch that is given labels returns as its loss."""

from typing import Any

from torch import Tensor, nn

from fanin.frameworks.observing import _own_loss
from fanin.frameworks.torch.runs._inputs import call_arguments


def find_own_loss(output: Any, labelled: bool) -> Tensor | None:
    """The loss in what a model returned; None where there is none."""
    found: Tensor | None = _own_loss.find_own_loss(output, labelled, _is_number)
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() == 1 and value.dim() < 2 and _learns(value)


def _learns(value: Tensor) -> bool:
    return value.is_floating_point() and value.requires_grad


def takes_labels(model: nn.Module, inputs: Any) -> bool:
    """Whether an argument that the model is called with is named for labels or targets."""
    return _own_loss.takes_labels(model.forward, *call_arguments(inputs))
