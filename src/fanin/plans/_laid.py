"""Laid: a row of a plan as the layers of another library store the same weight.

A torch weight (out, in, kh, kw) is a Flax kernel (kh, kw, in, out): the shape over the canonical
order of axes is one, and so are the values at every address of it.
"""

import math
from dataclasses import replace

from fanin.axes import ROLES, Axes
from fanin.errors import FaninError
from fanin.initializers._computed import Computed
from fanin.param import Param
from fanin.plans._row import Row


def lay_out(row: Row, param: Param, alike: bool | None) -> Row:
    """The row for a parameter as it is stored: its shape, and the roles in its order.

    `alike`: the plan was made for layers that store as these do; None where that is not known.
    Raises FaninError where it is not the weight that the plan was made for.
    """
    if row.shape == param.shape and alike is not False:
        return row
    if isinstance(row.initializer, Computed):
        raise FaninError(
            f"{row.name} of shape {row.shape} was computed for another library's layers, whose "
            "values do not lie as these do. Plan this model."
        )
    if alike:
        raise FaninError(
            f"{row.name} has shape {param.shape}; the plan was made for {row.shape}. Plan this "
            "model again, from its global shapes."
        )
    axes = _axes_of(row, param)
    same_order = axes.order() is None and row.axes.order() is None
    kept = row.kept_sha256 if same_order else None  # of a hash over another order
    return replace(row, shape=param.shape, axes=axes, kept_sha256=kept)


def _axes_of(row: Row, param: Param) -> Axes:
    unknown = param.kind == "other" and sum(size != 1 for size in param.shape) > 1
    if unknown and math.prod(row.shape) == math.prod(param.shape):
        raise FaninError(
            f"{row.name} has shape {param.shape} here and {row.shape} [{row.axes}] in the plan, "
            "and only a run tells how an array of the user's own is used: pass inputs=, what the "
            "model is called with."
        )
    roles = _roles_of(row, param)
    if roles is None or not _blocks_fit(row.axes, roles, param.shape):
        raise FaninError(
            f"{row.name} has shape {param.shape} [{param.axes}]; the plan was made for "
            f"{row.shape} [{row.axes}], which is another weight. Plan this model, or, in "
            "Python, map names with rename=."
        )
    strides = row.axes.stride
    fits = not isinstance(strides, tuple) or len(strides) == roles.count("kernel")
    return replace(row.axes, roles=roles, stride=strides if fits else param.axes.stride)


def _roles_of(row: Row, param: Param) -> tuple[str, ...] | None:
    """The roles of the stored axes; None where no order of them gives the row's values.

    Each role has as many positions, however many axes share them, as heads do; or each axis in
    canonical order has, whatever it is called: a table that is a head, too, is one or the other.
    """
    sizes, shape = param.axes, param.shape
    if all(row.axes.size(role, row.shape) == sizes.size(role, shape) for role in ROLES):
        return param.axes.roles
    mine, theirs = _in_order(row.axes, row.shape), _in_order(sizes, shape)
    if [row.shape[axis] for axis in mine] != [shape[axis] for axis in theirs]:
        return None
    found = dict(zip(theirs, mine, strict=True))
    return tuple(
        row.axes.roles[found[axis]] if axis in found else role
        for axis, role in enumerate(param.axes.roles)
    )


def _in_order(axes: Axes, shape: tuple[int, ...]) -> list[int]:
    """The axes of more than one position, in canonical order."""
    order = axes.order() or range(len(shape))
    return [axis for axis in order if shape[axis] != 1]


def _blocks_fit(axes: Axes, roles: tuple[str, ...], shape: tuple[int, ...]) -> bool:
    return not axes.blocks or ("out" in roles and sum(axes.blocks) == shape[roles.index("out")])
