"""Own loss: what a model that is given labels returns as its loss."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from fanin.frameworks.torch.runs._inputs import call_arguments

_LABELS = ("label", "target")  # within the names of arguments


def find_own_loss(output: Any, labelled: bool) -> Tensor | None:
    """The loss in what a model returned; None where there is none.

    It is called so, comes first in a tuple, or is the only output; all outputs of a dict, where
    each is a number (detectors), are summed. Elsewhere a number is a loss only of a model that was
    given labels: it may be a penalty beside the output.
    """
    if _is_number(output):
        return output  # type: ignore[no-any-return]
    if isinstance(output, Mapping) and output and all(map(_is_number, output.values())):
        return sum(output.values())  # type: ignore[return-value]
    named = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if _is_number(named):
        return named
    if not isinstance(output, tuple | list):
        return None
    numbers = [at for at, item in enumerate(output) if _is_number(item)]
    if len(numbers) == 1 and len(output) > 1 and (numbers == [0] or labelled):
        return output[numbers[0]]  # type: ignore[no-any-return]
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() == 1 and value.dim() < 2 and _learns(value)


def _learns(value: Tensor) -> bool:
    return value.is_floating_point() and value.requires_grad


def takes_labels(model: nn.Module, inputs: Any) -> bool:
    """Whether an argument that the model is called with is named for labels or targets."""
    args, kwargs = call_arguments(inputs)
    try:
        given = inspect.signature(model.forward).bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return False
    names = [name for name, value in {**given, **kwargs}.items() if value is not None]
    return any(word in name.lower() for name in names for word in _LABELS)
