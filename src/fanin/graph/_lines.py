"""Lines: functions element by element that multiply what they get by a number."""

import numpy as np

from fanin.graph._graph import Node


def second_input(node: Node) -> bool:
    """Whether a function element by element reads more than one activation."""
    return node.op == "pointwise" and len(set(node.inputs)) > 1


def slope(node: Node) -> float:
    """The factor of a function that is a line; 1 for any other operation."""
    return factor(node) or 1.0


def factor(node: Node) -> float | None:
    """The factor of a function of one activation that is a line; None for any other."""
    if node.op != "pointwise" or node.fn is None or second_input(node):
        return None
    points = np.array([-1.0, 0.0, 1.0, 3.0])  # odd functions are no lines
    with np.errstate(all="ignore"):
        values = np.broadcast_to(node.fn(*[points] * len(node.inputs)), points.shape)
        steps = np.diff(values) / np.diff(points)
        straight = np.isfinite(steps).all() and np.allclose(steps, steps[0])
    return float(steps[0]) if straight else None
