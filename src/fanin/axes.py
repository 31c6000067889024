"""The roles of a tensor's axes: which are outputs, inputs, kernel positions, or stacked copies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from fanin.errors import FaninError, quote

__all__ = ["Axes"]

# Canonical order: a weight's index counts over these groups, each in stored order.
ROLES = ("stack", "out", "in", "kernel")

# Every word that a spelling may use, beside role:name for a role of one's own naming.
_TOKENS = {role: role for role in ROLES} | {
    "layer": "stack",
    "expert": "stack",
    "group": "stack",
    "k": "kernel",
    "kd": "kernel",
    "kh": "kernel",
    "kw": "kernel",
}

# Words for the axes of attention heads: on the side of the map that no other word names.
_HEADS = ("head", "dim")

# The layouts that frameworks call by letters.
_SHORTHANDS = {
    "oi": "out in",
    "io": "in out",
    "oiw": "out in kw",
    "oihw": "out in kh kw",
    "oidhw": "out in kd kh kw",
    "wio": "kw in out",
    "hwio": "kh kw in out",
    "dhwio": "kd kh kw in out",
}


@dataclass(frozen=True, slots=True)
class Axes:
    """How an operation uses a stored weight: one role for every axis, in stored order.

    `groups` splits the map into that many maps side by side, as in a grouped convolution: the
    `in` axis then holds one group's channels or, where the operation is `transposed`, the `out`
    axis does. `stride` is the operation's, one number for all kernel axes or one for each.
    `blocks` are the sizes of matrices packed along the first `out` axis (query, key and value;
    the gates of an LSTM); empty means that nothing is packed.
    """

    roles: tuple[str, ...]
    groups: int = 1
    transposed: bool = False
    stride: int | tuple[int, ...] = 1
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.roles, tuple):
            raise FaninError(f"roles is {quote(self.roles)}; give a tuple of roles.")
        for role in self.roles:
            _check_role("axes has the role", role)
        strides = self.stride if isinstance(self.stride, tuple) else (self.stride,)
        if not all(_is_count(stride) for stride in strides):
            raise FaninError(f"stride is {quote(self.stride)}; it is an integer >= 1, or a tuple.")
        if isinstance(self.stride, tuple) and len(strides) != self.roles.count("kernel"):
            raise FaninError(
                f"stride {quote(self.stride)} has {len(strides)} numbers; axes {str(self)!r} has "
                f"{self.roles.count('kernel')} kernel axes."
            )
        _check_groups(self.groups)
        if not all(_is_count(block) for block in self.blocks):
            raise FaninError(f"blocks is {quote(self.blocks)}; sizes are integers >= 1.")

    def order(self) -> tuple[int, ...] | None:
        """The axes from the slowest to the fastest in canonical order; None if stored so."""
        return _canonical_order(self.roles)

    def axis(self, role: str) -> int:
        """The first stored axis of a role."""
        if not isinstance(role, str) or role not in self.roles:
            raise FaninError(f"axes {str(self)!r} has no axis {quote(role)}.")
        return self.roles.index(role)

    def steps(self) -> int:
        """The product of the strides: how many input positions there are for an output."""
        if isinstance(self.stride, tuple):
            return math.prod(self.stride)
        return math.prod((self.stride,) * self.roles.count("kernel"))

    def size(self, role: str, shape: tuple[int, ...]) -> int:
        """The product of the sizes of the axes with this role."""
        _check_role("role is", role)
        shape = tuple(shape)
        _check_length(self, shape)
        return math.prod(n for n, own in zip(shape, self.roles, strict=True) if own == role)

    def __str__(self) -> str:
        return " ".join(self.roles)


def no_roles(shape: tuple[int, ...]) -> "Axes":
    """The axes of what has no inputs or outputs: counted as stored."""
    return Axes(("stack",) * len(shape))


def parse_axes(axes: str | Axes | None, shape: tuple[int, ...], groups: int = 1) -> Axes:
    """The axes of a tensor of this shape from their spelling, such as "kh kw in out".

    None means torch's layout, "out in kernel ...", for two axes and more; fewer have no fans
    and count as stored ("stack"). `groups` may be said here or by an Axes. Checks that groups
    and blocks fit the shape.
    """
    if axes is None:
        axes = _torch_layout(len(shape))
    elif isinstance(axes, str):
        axes = Axes(_roles(axes))
    if not isinstance(axes, Axes):
        raise FaninError(
            f"axes is {quote(axes)}; give roles in stored order, such as 'out in kh kw'."
        )
    _check_length(axes, shape)
    _check_groups(groups)
    if groups != 1:
        if axes.groups not in (1, groups):
            raise FaninError(
                f"groups is {quote(groups)}, and axes says {axes.groups}; say it once."
            )
        axes = replace(axes, groups=groups)
    _check_fit(axes, shape)
    return axes


def _check_role(told: str, role: object) -> None:
    if not isinstance(role, str) or role not in ROLES:
        raise FaninError(f"{told} {quote(role)}; roles are {', '.join(ROLES)}.")


def _check_groups(groups: object) -> None:
    if not _is_count(groups):
        raise FaninError(f"groups is {quote(groups)}; it is an integer >= 1.")


def _check_length(axes: Axes, shape: tuple[int, ...]) -> None:
    if len(axes.roles) != len(shape):
        raise FaninError(f"axes {str(axes)!r} names {len(axes.roles)} axes of shape {shape}.")


def _check_fit(axes: Axes, shape: tuple[int, ...]) -> None:
    if axes.groups > 1:
        role = "in" if axes.transposed else "out"
        channels = axes.size(role, shape)
        if role not in axes.roles or shape[axes.axis(role)] % axes.groups:
            what = "inputs" if axes.transposed else "outputs"
            raise FaninError(
                f"groups is {axes.groups}; it must divide the {channels} {what} of {shape}. Give "
                "the groups of the operation, and the shape of the whole weight."
            )
    if axes.blocks:
        packed = shape[axes.axis("out")] if "out" in axes.roles else 0
        if sum(axes.blocks) != packed:
            raise FaninError(
                f"blocks {axes.blocks} sum to {sum(axes.blocks)}; the first `out` axis of {shape} "
                f"has {packed}."
            )


def equal_blocks(count: int, axes: Axes, shape: Sequence[int]) -> Axes:
    """The axes with their first `out` axis packed from `count` blocks of one size."""
    packed = shape[axes.axis("out")] if "out" in axes.roles else 0
    if not _is_count(count) or packed % count or count > max(packed, 1):
        raise FaninError(
            f"blocks is {quote(count)}; it must divide the first `out` axis of {tuple(shape)}, "
            f"{packed}."
        )
    return replace(axes, blocks=(packed // count,) * count if count > 1 else ())


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


@lru_cache
def _canonical_order(roles: tuple[str, ...]) -> tuple[int, ...] | None:
    stored = tuple(range(len(roles)))
    order = tuple(sorted(stored, key=lambda axis: ROLES.index(roles[axis])))
    return None if order == stored else order


@lru_cache
def _torch_layout(dimensions: int) -> Axes:
    if dimensions < 2:
        return Axes(("stack",) * dimensions)
    return Axes(("out", "in", *("kernel",) * (dimensions - 2)))


@lru_cache
def _roles(spelling: str) -> tuple[str, ...]:
    tokens = _SHORTHANDS.get(spelling, spelling).split()
    heads = "out"
    if any(token in _HEADS for token in tokens):
        sides = [side for side in ("out", "in") if side not in tokens]
        if len(sides) != 1:
            raise FaninError(
                f"axes {spelling!r} leaves open which side head and dim are on: write out:head "
                "out:dim or in:head in:dim."
            )
        (heads,) = sides
    return tuple(heads if token in _HEADS else _role(token, spelling) for token in tokens)


def _role(token: str, spelling: str) -> str:
    role, colon, _ = token.partition(":")
    if token in _TOKENS:
        return _TOKENS[token]
    if colon and role in ROLES:
        return role
    known = ", ".join((*_TOKENS, *_HEADS))
    raise FaninError(
        f"axes {spelling!r} has {token!r}; a token is one of {known}, or role:name "
        f"with one of the first {len(ROLES)}. Shorthands: {', '.join(_SHORTHANDS)}."
    )
