"""Weights: tensors that come from parameters alone, and the roles of their stored axes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fanin.axes import Axes
from fanin.frameworks.recording._formula import ParameterFormula
from fanin.frameworks.recording._views import Dims, dims_of
from fanin.graph import Function, Use


@dataclass(frozen=True, slots=True)
class Part:
    """What became of one parameter: views of it, and functions through which it went."""

    name: str
    shape: tuple[int, ...]  # as stored
    dims: Dims | None  # None: its axes could not be followed
    through: tuple[str, ...] = ()
    picked: frozenset[int] = frozenset()  # axes of which one position was selected
    scales: tuple["Part", ...] = ()  # other parameters multiplied in
    row: int | None = None  # which position was selected, where that is known
    formula: ParameterFormula | None = None  # the tensor, these others left out; None: not known

    def join(self, keeps: bool) -> "Part":
        """The same as one of several that are joined: what it is element by element, it stays."""
        known = keeps and self.formula is not None and self.formula.is_plain()
        return self if known else replace(self, formula=None)


@dataclass(frozen=True, slots=True)
class ParameterTensor:
    """A tensor made of parameters alone: of one, or of several concatenated."""

    parts: tuple[Part, ...]

    def follow(self, view: Callable[[Dims], Dims | None]) -> "ParameterTensor":
        """The same after a view."""
        return ParameterTensor(
            tuple(replace(part, dims=part.dims and view(part.dims)) for part in self.parts)
        )

    def pick(self, dim: int, row: int | None = None) -> "ParameterTensor":
        """The same after one position of a dimension was selected: of stacked weights, `row`."""

        def pick(part: Part) -> Part:
            if part.dims is None:
                return part
            axes = {atom.axis for atom in part.dims[dim] if atom.axis is not None}
            rest = part.dims[:dim] + part.dims[dim + 1 :]
            return replace(part, dims=rest, picked=part.picked | axes, row=row)

        return ParameterTensor(tuple(map(pick, self.parts)))

    def scale_by(self, others: Sequence["ParameterTensor"]) -> "ParameterTensor":
        """The same times other parameters."""
        scales = tuple(part for other in others for part in other.parts)
        return ParameterTensor(
            tuple(replace(part, scales=part.scales + scales) for part in self.parts)
        )

    def through(self, function: str, keeps_axes: bool = True) -> "ParameterTensor":
        """The same after a function."""
        return ParameterTensor(
            tuple(
                replace(
                    part,
                    through=(*part.through, function),
                    dims=part.dims if keeps_axes else None,
                )
                for part in self.parts
            )
        )


def whole(
    name: str, shape: Sequence[int], kind: type[ParameterFormula] = ParameterFormula
) -> ParameterTensor:
    """A parameter as it is stored; `kind` is whose operations its formulas have."""
    sizes = tuple(shape)
    return ParameterTensor(
        (Part(name, sizes, dims_of(sizes), formula=kind.parameter(name, sizes)),)
    )


def plain_use(part: Part) -> Use:
    """The use of a parameter element by element: none of its axes has a role."""
    axes = _axes(["stack"] * len(part.shape))
    return Use(part.name, axes, part.through, row=part.row, function=_function(part))


def _function(part: Part, roles: Sequence[str] | None = None) -> Function | None:
    """What a parameter goes through; views and copies alone are nothing."""
    if not part.through:
        return None
    inputs = [dim for dim, role in enumerate(roles or ()) if role in ("in", "kernel")]
    if part.formula is None:
        return None
    return part.formula.function(part.name, None if roles is None else inputs)


def use(
    part: Part,
    roles: Sequence[str],
    fans: tuple[int, int],
    groups: int = 1,
    transposed: bool = False,
    stride: int | tuple[int, ...] = 1,
) -> Use:
    """The use of a parameter whose viewed dimensions have these roles in an operation.

    `fans` are what the operation sums and reaches. They are kept where whole axes cannot say
    it: parts of one axis have different roles, or the axes could not be followed.
    """
    acts = _function(part, roles)
    if part.dims is None or len(part.dims) != len(roles):
        guess = ["out", "in", *["kernel"] * (len(part.shape) - 2)]
        axes = _axes(guess[: len(part.shape)])
        return Use(part.name, axes, part.through, fans=fans, row=part.row, function=acts)
    found: dict[int, dict[str, int]] = {axis: {"stack": 1} for axis in part.picked}
    for role, atoms in zip(roles, part.dims, strict=True):
        for atom in atoms:
            if atom.axis is not None and atom.size > 1:
                sizes = found.setdefault(atom.axis, {})
                sizes[role] = sizes.get(role, 1) * atom.size
    for role, atoms in zip(roles, part.dims, strict=True):
        for atom in atoms:
            # One of size 1 beside others in its dimension has no part in it.
            if atom.axis is not None and len(atoms) == 1:
                found.setdefault(atom.axis, {role: 1})
    whole_axes = all(
        len(sizes) == 1 and math.prod(sizes.values()) in (1, part.shape[axis])
        for axis, sizes in found.items()
    )
    chosen = [_main_role(found.get(axis)) for axis in range(len(part.shape))]
    _place_lost(chosen, found, roles)
    kernels = chosen.count("kernel")
    if isinstance(stride, tuple) and len(stride) != kernels:
        stride = stride[0] if kernels and len(set(stride)) == 1 else 1
    axes = _axes(chosen, groups, transposed, stride)
    beyond = None if whole_axes else fans
    return Use(part.name, axes, part.through, fans=beyond, row=part.row, function=acts)


def _main_role(sizes: dict[str, int] | None) -> str:
    """The role of most of an axis; copies count only where there is nothing else."""
    known = sizes or {"stack": 1}
    working = {role: size for role, size in known.items() if role != "stack"} or known
    return max(working, key=working.__getitem__)


def _place_lost(chosen: list[str], found: dict[int, dict[str, int]], roles: Sequence[str]) -> None:
    """An axis of size 1 that a view left out has the role that no other axis has."""
    missing = [role for role in roles if role not in chosen]
    for axis in range(len(chosen)):
        if axis not in found and missing:
            chosen[axis] = missing.pop(0)


def _axes(
    roles: Sequence[str],
    groups: int = 1,
    transposed: bool = False,
    stride: int | tuple[int, ...] = 1,
) -> Axes:
    return Axes(tuple(roles), groups=groups, transposed=transposed, stride=stride)


def gates_use(part: Part, gates: int) -> Use:
    """The use of a recurrent weight, whose outputs are packed gates."""
    blocks = (part.shape[0] // gates,) * gates if gates > 1 else ()
    return Use(part.name, Axes(("out", "in"), blocks=blocks), part.through)
