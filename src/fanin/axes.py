"""The roles of a tensor's axes: which are outputs, inputs, kernel positions, or stacked copies."""

from dataclasses import dataclass
from functools import lru_cache

from fanin.errors import FaninError

# Canonical order: a weight's index counts over these groups, each in stored order.
ROLES = ("stack", "out", "in", "kernel")

# Every word that a spelling may use, beside role:name for a role of one's own naming.
_TOKENS = {role: role for role in ROLES} | {
    "layer": "stack",
    "expert": "stack",
    "k": "kernel",
    "kd": "kernel",
    "kh": "kernel",
    "kw": "kernel",
}

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
    """One role for every axis of a tensor, in stored order."""

    roles: tuple[str, ...]

    def __post_init__(self) -> None:
        for role in self.roles:
            if role not in ROLES:
                raise FaninError(f"axes has the role {role!r}; roles are {', '.join(ROLES)}.")

    def order(self) -> tuple[int, ...] | None:
        """The axes from the slowest to the fastest in canonical order; None if stored so."""
        return _canonical_order(self.roles)

    def __str__(self) -> str:
        return " ".join(self.roles)


def parse_axes(axes: str | Axes | None, shape: tuple[int, ...]) -> Axes:
    """The axes of a tensor of this shape from their spelling, such as "kh kw in out".

    None means torch's layout, "out in kernel ...", for two axes and more; fewer have no fans
    and count as stored ("stack").
    """
    if axes is None:
        return _torch_layout(len(shape))
    if isinstance(axes, str):
        axes = Axes(tuple(_role(token, axes) for token in _SHORTHANDS.get(axes, axes).split()))
    if not isinstance(axes, Axes):
        raise FaninError(f"axes is {axes!r}; give roles in stored order, such as 'out in kh kw'.")
    if len(axes.roles) != len(shape):
        raise FaninError(f"axes {str(axes)!r} names {len(axes.roles)} axes of shape {shape}.")
    return axes


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


def _role(token: str, spelling: str) -> str:
    role, colon, _ = token.partition(":")
    if token in _TOKENS:
        return _TOKENS[token]
    if colon and role in ROLES:
        return role
    raise FaninError(
        f"axes {spelling!r} has {token!r}; a token is one of {', '.join(_TOKENS)}, or role:name "
        f"with one of the first {len(ROLES)}. Shorthands: {', '.join(_SHORTHANDS)}."
    )
