"""Masks: comparisons of activations and what follows from those alone, as functions of them.

A rectifier written as `h * (h > 0)` is one function of h: wherever a mask takes part in an
operation element by element, it is replaced by what it compares.
"""

from typing import Any

import numpy as np
from torch import Tensor

from fanin.frameworks.recording._masks import inline, remember
from fanin.frameworks.recording._record import ActivationFormula, ActivationTensor, ConstantTensor
from fanin.frameworks.torch.record._call import Call
from fanin.graph import Values

_COMPARISONS = frozenset(("gt", "lt", "ge", "le", "eq", "ne", "isclose", "signbit", "heaviside"))


def compares(call: Call) -> bool:
    """Whether an operation compares activations with each other, or with known numbers."""
    if call.name not in _COMPARISONS:
        return False
    active = [entry for entry in call.entries if isinstance(entry, ActivationTensor)]
    unknown = any(
        isinstance(entry, ConstantTensor) and entry.value is None for entry in call.entries
    )
    integers = any(item.node in call.recorder.integers for item in active)
    return bool(active) and not unknown and not integers


def follows(call: Call) -> bool:
    """Whether an operation reads masks, and no other activation."""
    masks = call.recorder.masks
    if not masks:
        return False
    active = [entry for entry in call.entries if isinstance(entry, ActivationTensor)]
    return bool(active) and all(item.node in masks for item in active)


def is_mask(call: Call, tensor: Any) -> bool:
    """Whether a tensor follows from comparisons of activations."""
    entry = call.entry(tensor) if isinstance(tensor, Tensor) else None
    return isinstance(entry, ActivationTensor) and entry.node in call.recorder.masks


def removes(call: Call, tensor: Any) -> bool:
    """Whether a mask holds numbers so far below zero that adding it removes."""
    entry = call.entry(tensor) if isinstance(tensor, Tensor) else None
    return isinstance(entry, ActivationTensor) and entry.node in call.recorder.removing


def write_by_mask(call: Call) -> ActivationTensor | None:
    """x[x < 0] = value: a function of the mask, the values and x."""
    picks = [call["mask"]] if call.name == "masked_scatter" else call.get("indices") or []
    if len(picks) != 1 or not is_mask(call, picks[0]) or picks[0].shape != call["self"].shape:
        return None
    there = call["source"] if call.name == "masked_scatter" else call["values"]
    return pick_by_mask(call, picks[0], there, call["self"])


def pick_by_mask(call: Call, mask: Tensor, there: Any, elsewhere: Any) -> ActivationTensor:
    """Where a mask of activations picks one of two, number or tensor."""
    sources = [call.activation(mask)]
    numbers = [call.number(item) for item in (there, elsewhere)]
    sources += [
        call.activation(item)
        for item, number in zip((there, elsewhere), numbers, strict=True)
        if number is None
    ]

    def choose(mask: Values, *given: Values) -> Values:
        rest = iter(given)
        a, b = (next(rest) if number is None else np.asarray(number) for number in numbers)
        return np.where(mask != 0, a, b)

    recorder = call.recorder
    sources, fn = inline(recorder, sources, choose)
    made = recorder.emit("pointwise", sources, call.shape, fn=fn, label="where")
    if follows(call):
        remember(
            recorder, made.node, ActivationFormula(tuple(source.node for source in sources), fn)
        )
    return recorder.follow(sources[0], made) if len(sources) == 1 else made
