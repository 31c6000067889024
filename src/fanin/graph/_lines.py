"""Lines: functions element by element of one activation, and those that multiply by a number."""

import numpy as np

from fanin.graph._graph import Node, Values


def second_input(node: Node) -> bool:
    """Whether a function element by element reads more than one activation."""
    return node.op == "pointwise" and len(set(node.inputs)) > 1


def evaluate(node: Node, points: Values) -> Values:
    """What a function of one activation gives at these; not finite outside of its domain."""
    assert node.fn is not None
    with np.errstate(all="ignore"):
        return np.broadcast_to(node.fn(*[points] * len(node.inputs)), points.shape)


def slope(node: Node) -> float:
    """The factor of a function that is a line; 1 for any other operation."""
    return factor(node) or 1.0


def factor(node: Node) -> float | None:
    """The factor of a function of one activation that is a line; None for any other."""
    if node.op != "pointwise" or node.fn is None or second_input(node):
        return None
    points = np.array([-1.0, 0.0, 1.0, 3.0])  # odd functions are no lines
    with np.errstate(all="ignore"):
        steps = np.diff(evaluate(node, points)) / np.diff(points)
        straight = np.isfinite(steps).all() and np.allclose(steps, steps[0])
    return float(steps[0]) if straight else None
