"""Joint: functions of one activation and of constants that vary along an axis, such as grids.

A spline multiplies ramps and indicators of one activation, each with knots of its own: what
the product is depends on which knots meet. So the operations are kept, and carried out on values
of the activation, with the constants in their places.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from fanin.frameworks.recording._masks import is_far_below
from fanin.frameworks.recording._record import ActivationTensor, ConstantTensor, Joint, TensorEntry
from fanin.frameworks.recording._weights import ParameterTensor
from fanin.frameworks.torch.operations._following import is_pointwise
from fanin.frameworks.torch.operations._moves import VIEWS
from fanin.frameworks.torch.record._call import Call, out_of_place
from fanin.frameworks.torch.record._formula import ParameterFormula
from fanin.frameworks.torch.runs._tensors import map_arguments
from fanin.graph import Values

_LARGEST = 1 << 20  # elements of a tensor whose values are computed
_LONGEST = 100  # operations, one behind the other
_ENOUGH, _MOST = 1 << 13, 1 << 16  # values of a result: their mean square is sure to a few percent
_ACTIVATION = "activation"  # the name of the leaf in formulas
_LINES = frozenset(("add", "sub", "rsub", "subtract", "neg", "mul", "multiply", "div", "divide"))


def jointly(call: Call, made: list[TensorEntry], first: int) -> None:
    """Notes the function that an operation continues; nodes from `first` on are its own.

    Its node is a function of the activation alone where constants that vary meet in it.
    """
    shows = call.name in VIEWS
    if not shows and (not is_pointwise(call.func) or len(made) != 1):
        return
    if any(is_far_below(call.number(call.get(name))) for name in ("value", "self", "other")):
        return  # a mask removes: what is left of logits is a line in them
    joint = _continue(call)
    if joint is None or joint.length > _LONGEST or math.prod(call.shape) > _LARGEST:
        return
    recorder = call.recorder
    meet = not shows and joint.curved and joint.varies and _meeting(call) > 1
    for index, entry in enumerate(made):
        if not isinstance(entry, ActivationTensor) or entry.node < first:
            continue
        if len(made) > 1:
            joint = replace(joint, formula=replace(joint.formula, pick=index))
        recorder.joints[entry.node] = joint
        if meet:
            recorder.replace_node(
                entry.node,
                op="pointwise",
                inputs=(joint.leaf,),
                label=call.name,
                fn=None,
                sampled=partial(_sample, joint),
            )


def _continue(call: Call) -> Joint | None:
    """The operation after those that made its arguments; None where one is not known."""
    sources: dict[int, Joint] = {}
    varies = False
    for tensor, entry in zip(call.inputs(), call.entries, strict=True):
        if isinstance(entry, ActivationTensor) and entry.node not in call.recorder.integers:
            sources[id(tensor)] = _joint(call, tensor, entry)
        elif (known := _read_known(call, tensor)) is not None:
            varies = varies or _varies(known)
        else:
            return None
    if len({item.leaf for item in sources.values()}) != 1 or not math.prod(call.shape):
        return None

    def source(tensor: Tensor) -> Any:
        joint = sources.get(id(tensor))
        if joint is None:
            return _read_known(call, tensor)
        casts = joint.mask and tensor.is_floating_point()
        return (
            ParameterFormula(run=Tensor.double, args=(joint.formula,)) if casts else joint.formula
        )

    args, kwargs = map_arguments(source, (call.args, call.kwargs))
    line = call.name in VIEWS or (call.name in _LINES and not _multiplies_activations(call))
    before = list(sources.values())
    return Joint(
        before[0].leaf,
        ParameterFormula(run=out_of_place(call.func), args=args, kwargs=kwargs),
        before[0].shape,
        varies=varies or any(item.varies for item in before),
        curved=not line or any(item.curved for item in before),
        mask=call.outs[0].dtype == torch.bool,
        length=1 + max(item.length for item in before),
    )


def _joint(call: Call, tensor: Tensor, entry: ActivationTensor) -> Joint:
    shape = tuple(tensor.shape)
    known = call.recorder.joints.get(entry.node)
    return known or Joint(entry.node, ParameterFormula.parameter(_ACTIVATION, shape), shape)


def _read_known(call: Call, tensor: Tensor) -> Tensor | None:
    """The values of a constant, and of what follows from frozen parameters alone."""
    entry = call.entry(tensor)
    if isinstance(entry, ConstantTensor):
        return None if entry.noise else entry.value
    formula = entry.parts[0].formula if isinstance(entry, ParameterTensor) else None
    frozen = call.recorder.frozen
    if formula is None or any(leaf.name not in frozen for leaf in formula.leaves()):
        return None
    with _disable_current_modes(), torch.no_grad():
        known: Tensor = formula.value(frozen)
    return known


def _varies(known: Tensor) -> bool:
    return bool(known.numel()) and bool((known != known.reshape(-1)[0]).any())


def _meeting(call: Call) -> int:
    """How many of the arguments are activations, or constants that vary."""
    active = [isinstance(entry, ActivationTensor) for entry in call.entries]
    known = [_read_known(call, item) for item in call.inputs()]
    return sum(active) + sum(_varies(item) for item in known if item is not None)


def _multiplies_activations(call: Call) -> bool:
    """Whether a product is of two activations, or an activation is divided by."""
    other = call.get("other")
    divisor = isinstance(other, Tensor) and isinstance(call.entry(other), ActivationTensor)
    both = divisor and isinstance(call.entry(call.first), ActivationTensor)
    return divisor if call.name.startswith("div") else both and call.name.startswith("mul")


def _sample(joint: Joint, values: Values) -> Values:
    """Equally likely values of the result for such ones of the activation."""
    random = np.random.default_rng(0)
    found: list[Values] = []
    while sum(map(len, found)) < _ENOUGH:
        picked = torch.from_numpy(random.choice(values, joint.shape))
        with _disable_current_modes(), torch.no_grad():
            made = joint.formula.value({_ACTIVATION: picked}).double().reshape(-1).numpy()
        found.append(made if len(made) <= _MOST else random.choice(made, _MOST))
    return np.concatenate(found)
