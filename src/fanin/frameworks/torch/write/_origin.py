"""Origin: how the constructor made a parameter of a model that was built for real."""

import copy
import inspect
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fanin.frameworks.torch.draws._empty import empty_weights
from fanin.frameworks.torch.draws._records import RECORDS, Mark, Record
from fanin.frameworks.torch.draws._replay import MemoryView, UnknownError, replay
from fanin.frameworks.torch.write._marks import is_claimed
from fanin.frameworks.torch.write._slot import Slot

_DRAWS, _ERRORS = 16, 8.0  # draws to compare with, and how far off their mean real values may be
_MOST_COMPARED = 1 << 16  # elements of a frozen parameter: larger ones are loaded, as a rule


class Origins:
    """How constructors made the parameters of a model that was built for real.

    The module of a parameter is built once more, without memory for its weights, if its arguments
    are known: from its attributes of the same names, or by default. What that computes counts if
    it is what the parameter holds; what it draws counts if the parameter's values may be such.
    Else the modules around it are asked, which may have written it, each built once.
    """

    def __init__(self, model: nn.Module) -> None:
        self._made: dict[int, nn.Module | None] = {}
        self._untouched: dict[int, frozenset[str]] = {}
        self._above = {
            id(child): (parent, name)
            for parent in model.modules()
            for name, child in parent._modules.items()
            if child is not None
        }

    def find(self, slot: Slot) -> None:
        """Note in a slot what is found out of it; what was drawn is no constant."""
        self._find(slot)
        if slot.is_redrawn:
            slot.param = replace(slot.param, constant=None)

    def _find(self, slot: Slot) -> None:
        if slot.origin is not None or slot.vacancy is not None or slot.shard is not None:
            return
        module, attribute = slot.homes[0]
        slot.origin = self._search(module, attribute, slot.tensor.detach())

    def is_untouched(self, slot: Slot) -> bool:
        """Whether a frozen parameter is such a draw as its constructor makes.

        With all others of its module that are frozen: a few numbers that were loaded may look so.
        """
        if slot.vacancy is not None or slot.shard is not None or is_claimed(slot):
            return False
        module, own = slot.homes[0]
        if id(module) not in self._untouched:  # asked of each parameter, for notes and for strict
            self._untouched[id(module)] = self._find_untouched(module)
        return own in self._untouched[id(module)]

    def _find_untouched(self, module: nn.Module) -> frozenset[str]:
        """The frozen parameters of a module that are drawn; none unless all of them are known."""
        frozen = {
            attribute: tensor.detach()
            for attribute, tensor in module._parameters.items()
            if tensor is not None and not tensor.requires_grad
        }
        if any(value.numel() > _MOST_COMPARED for value in frozen.values()):
            return frozenset()
        found = {each: self._search(module, each, value, True) for each, value in frozen.items()}
        marks = {each: mark for each, mark in found.items() if mark is not None}
        drawn = frozenset(each for each, mark in marks.items() if mark.drawn is not None)
        return drawn if len(marks) == len(found) else frozenset()

    def _search(
        self, module: nn.Module, attribute: str, value: Tensor, frozen: bool = False
    ) -> Mark | None:
        """What its module, or one around it, makes of a parameter."""
        around, path, asked = module, "", {id(module)}
        while True:
            found = self._look(around, path, module, attribute, value, frozen)
            around, name = self._above.get(id(around), (module, ""))
            path = f"{name}.{path}" if path else name
            if found is not None or id(around) in asked:  # the model itself was the last
                return found
            asked.add(id(around))

    def _look(
        self,
        around: nn.Module,
        path: str,
        module: nn.Module,
        attribute: str,
        value: Tensor,
        frozen: bool,
    ) -> Mark | None:
        """What a module that is built once more makes of a parameter of one in it."""
        if id(around) not in self._made:
            self._made[id(around)] = build_again(around)
        again = self._made[id(around)]
        found = dict(again.named_modules()).get(path) if again is not None else None
        if found is None or _geometry(found, False) != _geometry(module, False):
            return None
        records: dict[str, Record] = vars(found).get(RECORDS, {})
        record = records.get(attribute)
        if record is not None and record.value is not None and torch.equal(record.value, value):
            return Mark(value=record.value.clone(), computed=True)
        if record is None or record.drawn is None or (record.joined and not frozen):
            return None
        first = record.drawn.first or attribute
        alike = [
            _likely(other.drawn, tensor.detach(), frozen)
            for name, other in records.items()
            if other.drawn is not None and (other.drawn.first or name) == first
            if (tensor := module._parameters.get(name)) is not None
        ]  # what is of one draw is drawn again together, or stays
        return Mark(drawn=record.drawn) if all(alike) else None


def build_again(
    module: nn.Module, dtype: torch.dtype | None = None, converted: bool = False
) -> nn.Module | None:
    """A module like this one, without memory for its weights; None where it cannot be had.

    `dtype` is that of real numbers by default, where it is not what the program has now.
    `converted` allows for another type of what the module holds.
    """
    arguments = _arguments(module)
    if arguments is None:
        return None
    before = torch.get_default_dtype()
    with _silence():
        try:
            torch.set_default_dtype(before if dtype is None else dtype)
            with empty_weights():
                again: nn.Module = type(module)(**copy.deepcopy(arguments))
        except Exception:  # whatever a constructor may raise, it says nothing of this model
            return None
        finally:
            torch.set_default_dtype(before)
    return again if _geometry(again, converted) == _geometry(module, converted) else None


def _geometry(module: nn.Module, converted: bool) -> dict[str, Any]:
    own = (*module._parameters.items(), *module._buffers.items())
    return {
        name: None if tensor is None else (tensor.shape, None if converted else tensor.dtype)
        for name, tensor in own
    }


def knows_arguments(module: nn.Module) -> bool:
    """Whether every argument of its constructor is an attribute of a module, none by default."""
    parameters = inspect.signature(type(module)).parameters.values()
    kinds = {parameter.kind for parameter in parameters}
    free = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} & kinds
    return not free and all(parameter.name in vars(module) for parameter in parameters)


def _arguments(module: nn.Module) -> dict[str, Any] | None:
    """What the constructor is to be called with; None where an argument is not known."""
    try:
        parameters = inspect.signature(type(module)).parameters.values()
    except (TypeError, ValueError):
        return None
    found: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in vars(module):
            found[parameter.name] = vars(module)[parameter.name]
        elif (
            parameter.default is inspect.Parameter.empty
            or parameter.kind is parameter.POSITIONAL_ONLY
        ):
            return None
    return None if any(map(_holds_tensors, found.values())) else found


def _holds_tensors(value: Any) -> bool:
    """Whether an argument has weights of its own, which the constructor could write."""
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_holds_tensors, value))
    if isinstance(value, dict):
        return any(map(_holds_tensors, value.values()))
    return isinstance(value, (Tensor, nn.Module))


@contextmanager
def _silence() -> Iterator[None]:
    """Without warnings, and with the states of random number generators put back."""
    states = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _likely(drawn: MemoryView, value: Tensor, frozen: bool) -> bool:
    """Whether values may be such a draw, by the mean and the range of a few others.

    Those that are frozen by their RMS, too: what was trained has another one, and stays.
    """
    if value.is_complex():
        return False
    try:
        others = torch.stack(
            [replay(drawn, seed, "origin").double().flatten() for seed in range(_DRAWS)]
        )
    except (RuntimeError, TypeError, KeyError, UnknownError):
        return False
    mine, spread = value.cpu().double().flatten(), float(others.std())
    if not torch.isfinite(mine).all() or others.shape[1] != mine.numel():
        return False
    far = (mine.mean() - others.mean()).abs() <= _ERRORS * spread / mine.numel() ** 0.5 + 1e-12
    within = (mine - others.mean()).abs().max() <= _ERRORS * spread + 1e-12
    sizes = others.square().mean(1).sqrt()
    alike = (mine.square().mean().sqrt() - sizes.mean()).abs() <= _ERRORS * sizes.std() + 1e-12
    return bool(far and within and (alike or not frozen))
