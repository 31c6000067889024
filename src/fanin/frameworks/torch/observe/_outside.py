"""Outside: tensors that a run uses, that require gradients, and that are no parameters."""

from collections.abc import Iterator, Sequence
from inspect import isroutine
from typing import Any

from torch import Tensor, nn

from fanin.frameworks._observation import Outside
from fanin.frameworks.torch.tree._names import module_paths

_DEEPEST = 6  # containers within containers, in an attribute


def outsiders(model: nn.Module, used: Sequence[tuple[str, Tensor]]) -> tuple[Outside, ...]:
    """The tensors that modules, by path, were seen to use, with the places that hold them."""
    if not used:
        return ()
    wanted = {id(tensor) for _, tensor in used}
    places: dict[int, tuple[str, str]] = {}
    for module, path in module_paths(model).items():
        for name, value in _list_attributes(module):
            full = f"{path}.{name}" if path else name
            for place, tensor in _tensors(value, full, 0, set()):
                if id(tensor) in wanted:
                    places.setdefault(id(tensor), (place, type(value).__name__))
    found: dict[int, Outside] = {}
    for module_path, tensor in used:
        name, container = places.get(id(tensor), ("", ""))
        outside = Outside(name, tuple(tensor.shape), module_path, container)
        found.setdefault(id(tensor), outside)
    return tuple(found.values())


def _list_attributes(module: nn.Module) -> list[tuple[str, Any]]:
    """What a module holds beside its parameters, buffers, modules and hooks."""
    known = vars(nn.Module())
    return [(name, value) for name, value in vars(module).items() if name not in known]


def _tensors(value: Any, name: str, depth: int, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
        return
    if depth > _DEEPEST or id(value) in seen:
        return
    seen.add(id(value))
    for key, part in _parts(value):
        yield from _tensors(part, f"{name}.{key}", depth + 1, seen)


def _parts(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, nn.Module):
        held: list[tuple[Any, Any]] = [*value._parameters.items(), *value._modules.items()]
        return held + _list_attributes(value)
    foreign = type(value).__module__.partition(".")[0] not in ("builtins", "torch", "numpy")
    own = hasattr(value, "__dict__") and not isinstance(value, type) and not isroutine(value)
    return list(vars(value).items()) if foreign and own else []
