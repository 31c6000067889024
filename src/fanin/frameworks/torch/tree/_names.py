"""Canonical names: what a parameter is called, whatever its model is wrapped in."""

import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from fanin.errors import FaninError
from fanin.frameworks._naming import put, rename_all

TABLES = (nn.Embedding, nn.EmbeddingBag)
_MOST_PATHS = 64  # of one module: modules that hold each other twice, in depth, have no end of them

# Wrappers that a program has only if it imported their module: (module, class, attribute).
_OPTIONAL_WRAPPERS = (
    ("torch.optim.swa_utils", "AveragedModel", "module"),
    ("torch._dynamo.eval_frame", "OptimizedModule", "_orig_mod"),
    (
        "torch.distributed.algorithms._checkpoint.checkpoint_wrapper",
        "ActivationWrapper",
        "_checkpoint_wrapped_module",
    ),
    (
        "torch.distributed.fsdp.fully_sharded_data_parallel",
        "FullyShardedDataParallel",
        "_fsdp_wrapped_module",
    ),
)


def find_wrapped(module: nn.Module) -> str | None:
    """The attribute under which a wrapper holds the module that it wraps; None for others."""
    kind: type = type(module)
    return _find_wrapped(kind)


@lru_cache(1 << 10)
def _find_wrapped(kind: type) -> str | None:
    if issubclass(kind, (DataParallel, DistributedDataParallel)):
        return "module"
    for source, name, attribute in _OPTIONAL_WRAPPERS:
        wrapper = getattr(sys.modules.get(source), name, None)
        if wrapper is not None and issubclass(kind, wrapper):
            return attribute
    return None


def module_paths(model: nn.Module) -> dict[nn.Module, str]:
    """The canonical path of every module, wrappers stripped; a reused one has its first path."""
    paths: dict[nn.Module, str] = {}
    stack = [(model, "")]
    while stack:
        module, path = stack.pop()
        if module in paths:
            continue
        paths[module] = path
        inner = find_wrapped(module)
        for name, child in reversed(module._modules.items()):
            if child is not None:
                stack.append((child, path if name == inner else _join(path, name)))
    return paths


def _all_paths(model: nn.Module) -> dict[nn.Module, list[str]]:
    """As `module_paths`, with every path of a module that is registered more than once."""
    paths: dict[nn.Module, list[str]] = {}
    stack: list[tuple[nn.Module, str, tuple[nn.Module, ...]]] = [(model, "", ())]
    while stack:
        module, path, above = stack.pop()
        known = paths.setdefault(module, [])
        if path in known or module in above or len(known) >= _MOST_PATHS:
            continue
        known.append(path)
        inner = find_wrapped(module)
        for name, child in reversed(module._modules.items()):
            if child is not None:
                below = path if name == inner else _join(path, name)
                stack.append((child, below, (*above, module)))
    return paths


class Place(NamedTuple):
    """One place where a parameter is registered: its canonical name there, module, attribute."""

    name: str
    module: nn.Module
    attribute: str


Placed = tuple[nn.Parameter, list[Place]]


def canonical_names(
    model: nn.Module, rename: Mapping[str, str] | None = None
) -> dict[str, nn.Parameter]:
    """Every parameter of the model once, by its canonical name, in the model's order.

    Path parts are joined with dots. Wrappers are left out by their class: DataParallel,
    DistributedDataParallel, FullyShardedDataParallel, AveragedModel, compiled modules,
    CheckpointWrapper, parametrizations. A tied parameter goes under its embedding's name, else
    under the first registered; so does one of a module that is registered twice. `rename` maps a
    name found so to the one wanted. Raises FaninError if two parameters come to one name, or
    `rename` has a name that is not there.
    """
    return {name: tensor for name, (tensor, _) in canonical_places(model, rename).items()}


def canonical_places(
    model: nn.Module, rename: Mapping[str, str] | None = None
) -> dict[str, Placed]:
    """The parameters of `canonical_names` with all their places; the one that names it is first."""
    tensors: dict[int, nn.Parameter] = {}
    places: dict[int, list[Place]] = {}
    for module, paths in _all_paths(model).items():
        for attribute, tensor in module._parameters.items():
            if tensor is not None:
                tensors[id(tensor)] = tensor
                uses = places.setdefault(id(tensor), [])
                for path in paths:
                    name = _parameter_name(path, attribute, module)
                    uses.append(Place(name, module, attribute))
    found: dict[str, Placed] = {}
    for key, uses in places.items():
        if len(uses) > 1:
            uses.sort(key=lambda place: not isinstance(place.module, TABLES))  # stable
        put(found, uses[0].name, (tensors[key], uses), _shape_of, "name the modules apart")
    return rename_all(found, rename, other_names(found), _shape_of)


def other_names(places: Mapping[str, Placed]) -> dict[str, str]:
    """The canonical name by each of the others that a tied parameter has."""
    tied = [(name, uses) for name, (_, uses) in places.items() if len(uses) > 1]
    found = {place.name: name for name, uses in tied for place in uses}
    return {other: name for other, name in found.items() if other not in places}


class BufferPlace(NamedTuple):
    """A buffer by its canonical name, and where it is registered."""

    name: str
    module: nn.Module
    attribute: str
    buffer: Tensor


def buffer_places(model: nn.Module) -> Iterator[BufferPlace]:
    """Every buffer once."""
    if not any(module._buffers for module in model.modules()):
        return
    seen: set[int] = set()
    for module, path in module_paths(model).items():
        for attribute, tensor in module._buffers.items():
            if isinstance(tensor, Tensor) and id(tensor) not in seen:
                seen.add(id(tensor))
                yield BufferPlace(_join(path, attribute), module, attribute, tensor)


def buffer_names(model: nn.Module) -> dict[str, Tensor]:
    """Every buffer once, by its canonical name."""
    return {place.name: place.buffer for place in buffer_places(model)}


def _parameter_name(path: str, attribute: str, module: nn.Module) -> str:
    """A parametrized weight is stored in `parametrizations.weight.original` of its module."""
    if not isinstance(module, ParametrizationList):
        return _join(path, attribute)
    head, _, weight = path.rpartition(".")
    owner = head.rpartition(".")[0] if head != "parametrizations" else ""
    own = _join(owner, weight)
    return own if attribute == "original" else f"{own}.{attribute}"


def _shape_of(placed: Placed) -> tuple[int, ...]:
    return tuple(placed[0].shape)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def require_shape(name: str, tensor: Tensor) -> None:
    """FaninError for a tensor of a lazy module that did not run yet."""
    if is_lazy(tensor):
        raise FaninError(
            f"{name} has no shape yet; run the model once, model(inputs), which gives the lazy "
            "modules of it their shapes, and call this again."
        )
