"""Own loss: what a model that is given labels returns as its loss."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_LABELS = ("label", "target")  # within the names of arguments


def find_own_loss(output: Any, labelled: bool, is_number: Callable[[Any], bool]) -> Any:
    """The loss in what a model returned; None where there is none.

    It is called so, comes first in a tuple, or is the only output; all outputs of a dict, where
    each is a number (detectors), are summed. Elsewhere a number is a loss only of a model that was
    given labels: it may be a penalty beside the output. `is_number` says what could be one.
    """
    if is_number(output):
        return output
    if isinstance(output, Mapping) and output and all(map(is_number, output.values())):
        return sum(output.values())
    named = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    if is_number(named):
        return named
    if not isinstance(output, tuple | list):
        return None
    numbers = [at for at, item in enumerate(output) if is_number(item)]
    if len(numbers) == 1 and len(output) > 1 and (numbers == [0] or labelled):
        return output[numbers[0]]
    return None


def takes_labels(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> bool:
    """Whether an argument that a function is called with is named for labels or targets."""
    try:
        given = inspect.signature(function).bind_partial(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return False
    names = [name for name, value in {**given, **kwargs}.items() if value is not None]
    return any(word in name.lower() for name in names for word in _LABELS)
