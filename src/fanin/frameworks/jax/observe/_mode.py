"""Mode: whether a model is in train or in eval mode, by what its library's layers say."""

from collections.abc import Iterator, Mapping
from typing import Any

# Attributes of layers that act otherwise in training, and are true where they do not.
_EVALUATES = ("inference", "deterministic", "use_running_average")
_PLAIN = ("builtins", "functools", "jax", "jaxlib", "numpy")


def mode_of(model: Any) -> str:
    """The mode that the layers of a model are in; "train" where none of them has one."""
    said = {
        value
        for layer in _layers(model, set())
        for name in _EVALUATES
        if isinstance(value := vars(layer).get(name), bool)
    }
    if len(said) > 1:
        return "mixed"
    return "eval" if said == {True} else "train"


def _layers(value: Any, seen: set[int]) -> Iterator[Any]:
    """Every object in a model that has attributes, arrays left out."""
    if id(value) in seen:
        return
    seen.add(id(value))
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, (list, tuple)):
        parts = value
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        if type(value).__module__.partition(".")[0] in _PLAIN:
            return
        yield value
        parts = vars(value).values()
    for part in list(parts):
        yield from _layers(part, seen)
