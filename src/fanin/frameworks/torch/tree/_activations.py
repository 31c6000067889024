"""Activations: the function that the module tree puts before each weight."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from copy import copy
from typing import Any

from torch import nn

from fanin.errors import FaninError
from fanin.frameworks.torch.draws._records import DRAWN, MARKS, RECORDS
from fanin.frameworks.torch.tree._bare import constant_value
from fanin.gains import gain

# Modules of these files of torch.nn leave the law of a unit's value as it is, or nearly so.
_PASSED = {
    f"torch.nn.modules.{name}"
    for name in (
        "channelshuffle",
        "dropout",
        "flatten",
        "fold",
        "padding",
        "pixelshuffle",
        "pooling",
        "upsampling",
    )
}

ActivationFunction = Callable[..., Any]

_IDENTITY = nn.Identity()  # what leaves a signal as it is
# What every module has, and what is noted of its parameters and buffers; its class and the rest of
# its attributes say which function it is.
_COMMON = vars(nn.Module()).keys() - {"training"} | {RECORDS, DRAWN, MARKS}


def activations(
    modules: Iterable[nn.Module], weighted: Collection[int]
) -> dict[int, ActivationFunction]:
    """The function before the weight of each module in `weighted` (ids), where there is one.

    `modules` are those of the model, the outer before the inner.

    That is the last activation among the siblings between the previous weight and this one;
    nested nn.Sequentials count as one row. Siblings are read in the order of registration,
    which for nn.Sequential is that of the run. A normalization or a module of unknown insides
    between them leaves nothing. Equal modules are one function here, a copy of one of them that
    nobody else changes.
    """
    known: dict[Hashable, ActivationFunction | None] = {}
    found: dict[int, ActivationFunction] = {}
    seen: set[int] = set()
    for parent in modules:
        listed = isinstance(parent, (nn.ModuleList, nn.ModuleDict))  # which say nothing of an order
        if listed or not parent._modules:
            continue
        pending: ActivationFunction | None = None
        for child in _row(parent):
            if id(child) not in weighted:
                pending = _after(child, pending, known)
                continue
            if pending is not None and id(child) not in seen:  # the outermost row knows most
                found[id(child)] = pending
            seen.add(id(child))
            pending = None
    return found


def _row(parent: nn.Module) -> Iterator[nn.Module]:
    for child in parent.children():
        if isinstance(child, nn.Sequential) and type(child).forward is nn.Sequential.forward:
            yield from _row(child)
        else:
            yield child


def _after(
    module: nn.Module,
    pending: ActivationFunction | None,
    known: dict[Hashable, ActivationFunction | None],
) -> ActivationFunction | None:
    """The function that a signal has gone through behind a module that holds no weight."""
    if isinstance(module, nn.PReLU):
        slope = constant_value(module.weight)
        return nn.LeakyReLU(module.init if slope is None else slope)
    if next(module.children(), None) is not None or any(True for _ in module.parameters()):
        return None
    if type(module).__module__ in _PASSED:
        return pending
    settings = _settings(module)
    if settings not in known:
        known[settings] = _function(copy(module))
    function = known[settings]
    return pending if function is _IDENTITY else function


def _settings(module: nn.Module) -> Hashable:
    """What makes two modules without parameters one function: the class and its attributes."""
    own = tuple((name, value) for name, value in vars(module).items() if name not in _COMMON)
    try:
        hash(own)
    except TypeError:
        return id(module)
    return id(module) if next(module.buffers(), None) is not None else (type(module), own)


def _function(module: nn.Module) -> ActivationFunction | None:
    """The module, if it is a function of each element."""
    try:
        return _IDENTITY if gain(module) == 1 else module
    except FaninError:
        return None
