"""Following: the formula of every variable that a primitive makes of parameters alone."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fanin.frameworks.jax.record._call import Call
from fanin.frameworks.jax.record._pointwise import SAME
from fanin.frameworks.jax.record._values import VIEWS, is_pointwise, run, runs
from fanin.frameworks.recording._formula import FormulaKind, ParameterFormula
from fanin.frameworks.recording._record import ConstantTensor, Noise, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor, Part

_JOINS = (*VIEWS, "concatenate")


class _Unknown(Exception):  # noqa: N818 - ends a search, and never leaves this module
    pass


def follow(call: Call, entry: TensorEntry, index: int) -> TensorEntry:
    """An entry that a primitive made, with the formula of what it is where it is a weight."""
    if not isinstance(entry, ParameterTensor) or call.name in SAME:
        return entry
    if len(entry.parts) != 1:
        keeps = call.name in _JOINS
        return replace(entry, parts=tuple(part.join(keeps) for part in entry.parts))
    part = entry.parts[0]
    formula = _formula(call, part)
    if formula is not None and len(call.outs) > 1:
        formula = replace(formula, pick=index)
    return replace(entry, parts=(replace(part, formula=formula),))


def _formula(call: Call, part: Part) -> ParameterFormula | None:
    if not runs(call.name):
        return None
    try:
        if not _splits(call, part):
            args = tuple(_source(call, at) for at in range(len(call.entries)))
            return ParameterFormula(
                run=partial(run, call.name, call.params), args=args, kind=_kind(call)
            )
        own = next(at for at in range(len(call.entries)) if _part(call, at, part.name))
        args = _source(call, own), call.shape
        return ParameterFormula(run=np.broadcast_to, args=args, kind="view")
    except _Unknown:
        return None


def _splits(call: Call, part: Part) -> bool:
    """Whether other parameters were note_factor in here: they act by themselves."""
    before = [_part(call, at, part.name) for at in range(len(call.entries))]
    return len(part.scales) > max((len(item.scales) for item in before if item), default=0)


def _part(call: Call, at: int, name: str) -> Part | None:
    """The only part of an argument, if it is of this parameter."""
    entry = call.entries[at]
    if isinstance(entry, ParameterTensor) and len(entry.parts) == 1 and entry.parts[0].name == name:
        return entry.parts[0]
    return None


def _source(call: Call, at: int) -> Any:
    entry = call.entries[at]
    if isinstance(entry, ConstantTensor) and entry.noise is not None:
        return ParameterFormula(run=partial(_draw, entry.noise, call.ins[at].shape))
    if isinstance(entry, ConstantTensor) and entry.value is not None:
        return np.asarray(entry.value)
    if (
        isinstance(entry, ParameterTensor)
        and len(entry.parts) == 1
        and entry.parts[0].formula is not None
    ):
        return entry.parts[0].formula
    raise _Unknown


def _kind(call: Call) -> FormulaKind:
    if call.name in VIEWS:
        return "view"
    return "pointwise" if is_pointwise(call.name) else "other"


def _draw(noise: Noise, shape: tuple[int, ...]) -> Any:
    """Noise of the kind, the same at every call."""
    random = np.random.default_rng(0)
    if noise.kind == "normal":
        return random.normal(size=shape)
    uniform = random.uniform(size=shape)
    if noise.kind == "uniform":
        return uniform + noise.rate
    kept = 1 - noise.rate
    return (uniform < kept) / (kept if noise.divided and kept else 1.0)
