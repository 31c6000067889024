"""Splines: layers of Kolmogorov-Arnold networks, of functions of each feature by itself."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from fanin.graph import CARRIERS, Node, Structure, Values, evaluate

_PASSED = CARRIERS | {"shift", "sum"}
_POINTS, _TURNS, _STEP = 1024, 8, 1e-4


@dataclass(frozen=True, slots=True)
class SplineLayer:
    """y = sum of r f(x) + c sum of b B(x) over features, with nodes of r, of b and of every c.

    `numbers` are "features", "units" and "basis", how many functions B there are; `function` and
    `basis` are where the run computes f and B.
    """

    weight: int
    coefficients: int
    scales: tuple[int, ...]
    numbers: dict[str, float]
    function: Node
    basis: Node


def find_splines(structure: Structure) -> Iterator[SplineLayer]:
    """All of a run, in its order."""
    for position, node in enumerate(structure.graph.nodes):
        if node.op != "add":
            continue
        for left, right in (node.inputs, node.inputs[::-1]):
            layer = _match(structure, position, left, right)
            if layer is not None:
                yield layer


def _match(structure: Structure, position: int, left: int, right: int) -> SplineLayer | None:
    """The layer whose f is on the left of an addition, and whose basis on the right."""
    graph, nodes = structure.graph, structure.graph.nodes
    weight, multiplied = _find_weight(structure, left)
    if weight is None and len(multiplied) == 1:  # r of each pair of features by itself
        weight, multiplied = multiplied[0], ()
    coefficients, scales = _find_weight(structure, right)
    if weight is None or multiplied or coefficients is None:
        return None
    function = nodes[graph.behind(nodes[weight].inputs[0])]
    basis = graph.behind(nodes[coefficients].inputs[0])
    if function.op != "pointwise" or len(set(function.inputs)) != 1:
        return None
    source = graph.behind(function.inputs[0])
    if source not in structure.above[basis]:
        return None
    if any(nodes[at].param or nodes[at].op == "input" for at in structure.between(source, basis)):
        return None
    count, rest = divmod(math.prod(nodes[basis].shape), max(math.prod(nodes[source].shape), 1))
    if rest or count < 2:
        return None
    features, units = nodes[source].shape[-1], nodes[position].shape[-1]
    return SplineLayer(
        weight,
        coefficients,
        scales,
        {"features": float(features), "units": float(units), "basis": float(count)},
        function,
        nodes[basis],
    )


def _find_weight(structure: Structure, position: int) -> tuple[int | None, tuple[int, ...]]:
    """The weight that an activation comes from, with the parameters that multiply it behind."""
    scales: list[int] = []
    while True:
        node = structure.graph.nodes[position]
        if node.op == "linear":
            return (None if node.param is None else position), tuple(scales)
        if node.op == "scale":
            scales.append(position)
        elif node.op not in _PASSED or not node.inputs:
            return None, tuple(scales)
        position = node.inputs[0]


def measure(node: Node) -> dict[str, float]:
    """The means of f^2 and f'^2 for x ~ U(-1, 1), as "square" and "slope".

    None where the run does not show the function. Of a basis it takes a second or more.
    """
    function: Callable[[Values], Values]
    if node.sampled is not None:
        function = node.sampled
    elif node.op == "pointwise" and node.fn is not None and len(set(node.inputs)) == 1:
        function = lambda x: evaluate(node, x)  # noqa: E731
    else:
        return {}
    points = (2 * np.arange(_POINTS) + 1) / _POINTS - 1
    # What is sampled takes points by chance, the same ones every time: turned, all of them.
    turned = [np.roll(points, at * _POINTS // _TURNS) for at in range(_TURNS)]
    above, below = (np.stack([function(x + step) for x in turned]) for step in (_STEP, -_STEP))
    values, slopes = (above + below) / 2, (above - below) / (2 * _STEP)
    found = {"square": float((values**2).mean()), "slope": float((slopes**2).mean())}
    return found if all(map(math.isfinite, found.values())) else {}
