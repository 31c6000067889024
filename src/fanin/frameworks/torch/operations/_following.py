"""Following: the formula of every tensor that an operation makes of parameters alone."""

from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from fanin.frameworks.recording._formula import FormulaKind
from fanin.frameworks.recording._record import ConstantTensor, Noise, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor, Part
from fanin.frameworks.torch.operations._moves import SAME, VIEWS
from fanin.frameworks.torch.record._call import Call
from fanin.frameworks.torch.record._formula import ParameterFormula
from fanin.frameworks.torch.runs._tensors import map_arguments

_AFFINE = ("weight", "bias")  # other parameters that a normalization applies

# Functions element by element that torch does not mark as such; from the third on torch 2.6.
_UNMARKED = frozenset(
    (
        *("_prelu_kernel", "hardswish", "leaky_relu", "leaky_relu_"),
        *("celu_", "elu_", "hardsigmoid_", "hardtanh_", "selu_"),
    )
)


class _Unknown(Exception):  # noqa: N818 - ends a search, and never leaves this module
    pass


@cache
def is_pointwise(func: Any) -> bool:
    """Whether an operation of torch is a function element by element."""
    return torch.Tag.pointwise in func.tags or func.overloadpacket.__name__ in _UNMARKED


def follow(call: Call, entry: TensorEntry, index: int) -> TensorEntry:
    """An entry that an operation made, with the formula of what it is where it is a weight."""
    if not isinstance(entry, ParameterTensor) or call.name in (*SAME, "copy"):
        return entry
    if len(entry.parts) != 1:
        keeps = call.name in VIEWS or call.name in ("cat", "stack")
        return ParameterTensor(tuple(part.join(keeps) for part in entry.parts))
    part = entry.parts[0]
    several = len(call.outs) > 1
    formula = _formula(call, part)
    if formula is not None and several:
        formula = replace(formula, pick=index)
    return ParameterTensor((replace(part, formula=formula),))


def reciprocal(weight: ParameterTensor) -> ParameterTensor:
    """A weight that something is divided by."""
    inverse = weight.through("reciprocal")
    return ParameterTensor(
        tuple(
            part
            if part.formula is None
            else replace(
                part,
                formula=ParameterFormula(
                    run=torch.reciprocal, args=(part.formula,), kind="pointwise"
                ),
            )
            for part in inverse.parts
        )
    )


def _formula(call: Call, part: Part) -> ParameterFormula | None:
    try:
        if "weight_norm" in call.name:  # a row's length is its scale's, whatever the weight's
            return None
        if not _splits(call, part):
            args, kwargs = map_arguments(partial(_source, call), (call.args, call.kwargs))
            return ParameterFormula(run=call.func, args=args, kwargs=kwargs, kind=_kind(call))
        own = next(item for item in call.inputs() if _part(call, item, part.name) is not None)
        if call.name in ("mul", "multiply"):
            shape = call.shape
            source = _source(call, own)
            return ParameterFormula(run=torch.broadcast_to, args=(source, shape), kind="view")
        given = {
            name: None if name in _AFFINE else argument for name, argument in call.arguments.items()
        }
        kwargs = map_arguments(partial(_source, call), given)
        return ParameterFormula(run=call.func, kwargs=kwargs)
    except _Unknown:
        return None


def _splits(call: Call, part: Part) -> bool:
    """Whether other parameters were multiplied in here: they act by themselves."""
    before = [_part(call, source, part.name) for source in call.inputs()]
    return len(part.scales) > max((len(item.scales) for item in before if item), default=0)


def _part(call: Call, tensor: Tensor, name: str) -> Part | None:
    """The only part of a tensor, if it is of this parameter."""
    entry = call.entry(tensor)
    if isinstance(entry, ParameterTensor) and len(entry.parts) == 1 and entry.parts[0].name == name:
        return entry.parts[0]
    return None


def _source(call: Call, tensor: Tensor) -> Any:
    entry = call.entry(tensor)
    if isinstance(entry, ConstantTensor) and entry.noise is not None:
        return ParameterFormula(run=partial(_draw, entry.noise, tuple(tensor.shape)))
    if isinstance(entry, ConstantTensor) and entry.value is not None:
        return entry.value
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
    return "pointwise" if is_pointwise(call.func) else "other"


def _draw(noise: Noise, shape: tuple[int, ...]) -> Tensor:
    """Noise of the kind, the same at every call."""
    generator = torch.Generator("cpu").manual_seed(0)
    if noise.kind == "normal":
        return torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64, device="cpu")
    if noise.kind == "uniform":
        return uniform + noise.rate
    kept = 1 - noise.rate
    return (uniform < kept).double() / (kept if noise.divided and kept else 1.0)
