"""Compared: which output of a program a loss compares with targets, number by number."""

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from fanin.frameworks._observation import TargetsMet
from fanin.frameworks.jax.observe._objective import Objective
from fanin.frameworks.jax.trace._trace import Followed
from fanin.frameworks.recording._record import ActivationTensor

# What shows the same numbers elsewhere, or in another type.
_CARRYING = ("broadcast_in_dim", "convert_element_type", "copy", "reshape", "squeeze", "transpose")


class _Carried(NamedTuple):
    node: int | None  # None of the targets
    shape: tuple[int, ...]  # before it was expanded


def compare(objective: Objective, followed: Followed) -> TargetsMet | None:
    """The first subtraction of real targets and an output of the model; None for none."""
    targets, loss = objective.targets, objective.of_targets
    if loss is None:
        return None
    made: Any = jax.ShapeDtypeStruct  # which has no types
    shapes = [made(item.aval.shape, item.aval.dtype) for item in followed.closed.jaxpr.outvars]
    output = jax.tree_util.tree_unflatten(followed.structure, shapes)
    try:
        program = jax.make_jaxpr(loss)(output, made(targets.shape, targets.dtype)).jaxpr
    except jax.errors.JAXTypeError:  # a loss that reads values of the targets, in NumPy say
        return None
    known: dict[Any, _Carried] = {}
    for item, entry in zip(program.invars[:-1], followed.results, strict=True):
        if isinstance(entry, ActivationTensor):
            known[item] = _Carried(entry.node, tuple(item.aval.shape))
    known[program.invars[-1]] = _Carried(None, tuple(targets.shape))
    return _find(program, known, np.asarray(targets).astype(np.float64))


def _find(program: Jaxpr, known: dict[Any, _Carried], values: Any) -> TargetsMet | None:
    """Follows what is known through a program and those inside of it."""
    for equation in program.eqns:
        given = [None if isinstance(item, Literal) else known.get(item) for item in equation.invars]
        name, out = equation.primitive.name, equation.outvars[0]
        aval: Any = out.aval  # of an array, in all that is followed here
        if name == "sub" and given[0] is not None and given[1] is not None:
            met = _meet(given[0], given[1], tuple(aval.shape), values)
            if met is not None:
                return met
        elif name in _CARRYING and given[0] is not None:
            known[out] = _Carried(given[0].node, _reshape(given[0].shape, tuple(aval.shape)))
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        body = inner.jaxpr if isinstance(inner, ClosedJaxpr) else inner
        if not isinstance(body, Jaxpr) or len(body.invars) != len(given):
            continue
        pairs = zip(body.invars, given, strict=True)
        inside = {item: carried for item, carried in pairs if carried is not None}
        met = _find(body, inside, values)
        if met is not None:
            return met
        for outer, item in zip(equation.outvars, body.outvars, strict=False):
            if not isinstance(item, Literal) and item in inside:
                known[outer] = inside[item]
    return None


def _reshape(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    """A shape as someone wrote it: neither expanded nor with axes put before it to match."""
    put = after == (1,) * (len(after) - len(before)) + before
    return before if put or math.prod(before) != math.prod(after) else after


def _meet(
    left: _Carried, right: _Carried, shape: tuple[int, ...], values: Any
) -> TargetsMet | None:
    """What two operands are, where these are an activation and the targets."""
    if (left.node is None) == (right.node is None):
        return None
    made, targets = (right, left) if left.node is None else (left, right)
    assert made.node is not None
    shares = (float(each.mean()) for each in (values < 0, values > 1, np.abs(values) > 1))
    return TargetsMet(made.node, made.shape, targets.shape, shape, *shares)
