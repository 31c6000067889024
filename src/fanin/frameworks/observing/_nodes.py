"""Nodes: at which of them a closer look is taken, and at what."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from fanin.frameworks.recording._record import Layout
from fanin.frameworks.recording._views import Atom
from fanin.graph import Node, Use, Values, having

_REACH = np.concatenate([-np.geomspace(1e3, 1e-3, 1500), np.geomspace(1e-3, 1e3, 1500)])
_FOLLOWS = having("keeps units")  # what keeps the place of the units of a layer
_UNWATCHED = having("bulky")


def shows_others(node: Node) -> bool:
    """Whether it only moves others' values, so that its size says nothing."""
    return node.op == "view" and bool(node.inputs) and "written" not in node.flags


def is_watched(node: Node) -> bool:
    """Whether the gradient at it is looked at."""
    return node.op not in _UNWATCHED


def is_looked_at(node: Node) -> bool:
    """Whether its mean and how alike it is for different inputs are of interest."""
    return node.op in ("input", "linear", "shift", "lookup", "recurrent")


def is_function(node: Node) -> bool:
    """Whether it is a function of one value."""
    return node.op == "pointwise" and len(set(node.inputs)) == 1


def axis_of_units(
    node: Node, layout: Layout | None, known: Mapping[int, int], nodes: Sequence[Node]
) -> int | None:
    """The axis along which the units of a layer are, those of earlier nodes being known."""
    if layout is not None and node.op in ("linear", "shift", "scale"):
        return next((dim for dim, atoms in enumerate(layout.dims) if _holds(atoms, layout)), None)
    if node.op not in _FOLLOWS:
        return None
    same = [at for at in node.inputs if at in known and nodes[at].shape == node.shape]
    return known[same[-1]] if same else None


def _holds(atoms: Sequence[Atom], layout: Layout) -> bool:
    """Whether a dimension is of the features that a linear node made."""
    return any(atom.axis == layout.features for atom in atoms)


def uses_of(nodes: Sequence[Node]) -> dict[str, Use]:
    """The use of every parameter by the first node that multiplies with it."""
    found: dict[str, Use] = {}
    for node in nodes:
        for use in (*((node.param,) if node.op == "linear" and node.param else ()), *node.uses):
            found.setdefault(use.name, use)
    return found


def is_rectifier(node: Node) -> bool:
    """Whether a function of one value is 0 for all negative ones, and rises behind."""
    values = _values_of(node, np.array([-1e3, -1.0, -1e-3, 1e-3, 1.0]))
    return values is not None and not values[:3].any() and bool((values[3:] > 0).all())


def flat_beyond(node: Node, flat: float) -> tuple[float, float] | None:
    """Between which outputs a bounded function has a slope above `flat` of its largest.

    None for functions that are not bounded on both sides, or do not rise throughout.
    """
    values = _values_of(node, _REACH)
    if values is None or is_rectifier(node) or (np.diff(values) < 0).any():
        return None
    slopes = np.diff(values) / np.diff(_REACH)
    if slopes.max() <= 0 or max(slopes[0], slopes[-1]) > 1e-4 * slopes.max():
        return None
    steep = np.flatnonzero(slopes > flat * slopes.max())
    return float(values[steep[0]]), float(values[steep[-1] + 1])


def _values_of(node: Node, points: Values) -> Values | None:
    fn: Callable[..., Values] | None = node.fn
    if node.op != "pointwise" or fn is None or len(set(node.inputs)) != 1:
        return None
    with np.errstate(all="ignore"):
        values = np.asarray(fn(*[points] * len(node.inputs)), float)
    return values if values.shape == points.shape and np.isfinite(values).all() else None
