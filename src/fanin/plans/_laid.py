"""Laid: a row of a plan as the layers of another library store the same weight.

A torch weight (out, in, kh, kw) is a Flax kernel (kh, kw, in, out): the shape over the canonical
order of axes is one, and so are the values at every address of it.
"""

import math
from dataclasses import replace

from fanin.axes import ROLES, Axes
from fanin.errors import FaninError
from fanin.param import Param
from fanin.plans._row import Row


def laid(row: Row, param: Param, alike: bool | None) -> Row:
    """The row for a parameter as it is stored: its shape, and the roles in its order.

    `alike`: the plan was made for layers that store as these do; None where that is not known.
    Raises FaninError where it is not the weight that the plan was made for.
    """
    if row.shape == param.shape and alike is not False:
        return row
    if alike:
        raise FaninError(
            f"{row.name} has shape {param.shape}; the plan was made for {row.shape}. Plan this "
            "model again, from its global shapes."
        )
    axes = _axes_of(row, param)
    same_order = axes.order() is None and row.axes.order() is None
    kept = row.kept if same_order else None  # of a hash over another order
    return replace(row, shape=param.shape, axes=axes, kept=kept)


def _axes_of(row: Row, param: Param) -> Axes:
    mine = {role: row.axes.size(role, row.shape) for role in ROLES}
    roles = _vector_roles(row, param) or param.axes.roles
    theirs = {role: Axes(roles).size(role, param.shape) for role in ROLES}
    if mine != theirs and param.kind == "other" and math.prod(row.shape) == math.prod(param.shape):
        raise FaninError(
            f"{row.name} has shape {param.shape} here and {row.shape} [{row.axes}] in the plan, "
            "and only a run tells how an array of the user's own is used: pass inputs=, what the "
            "model is called with."
        )
    if mine != theirs or not _blocks_fit(row.axes, roles, param.shape):
        raise FaninError(
            f"{row.name} has shape {param.shape} [{param.axes}]; the plan was made for "
            f"{row.shape} [{row.axes}], which is another weight. Plan this model, or map names "
            "with rename=."
        )
    strides = row.axes.stride
    fits = not isinstance(strides, tuple) or len(strides) == roles.count("kernel")
    return replace(row.axes, roles=roles, stride=strides if fits else param.axes.stride)


def _vector_roles(row: Row, param: Param) -> tuple[str, ...] | None:
    """The role of a row's one long axis for that of the parameter; None where there are more."""
    mine, theirs = (
        [n for n, size in enumerate(shape) if size != 1] for shape in (row.shape, param.shape)
    )
    if len(mine) > 1 or len(theirs) > 1:
        return None
    role = row.axes.roles[mine[0]] if mine else "stack"
    return tuple(role if axis in theirs else "stack" for axis in range(len(param.shape)))


def _blocks_fit(axes: Axes, roles: tuple[str, ...], shape: tuple[int, ...]) -> bool:
    return not axes.blocks or sum(axes.blocks) == shape[roles.index("out")]
