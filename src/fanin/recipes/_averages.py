"""Averages in a propagation: attention, softmax, and quotients that do the same by hand."""

from collections.abc import Sequence
from dataclasses import replace

from fanin.graph import CARRIERS, Graph, Node
from fanin.graph.signal import Signal, gaussian

InputSignals = Sequence[Signal | None]


def attention(run: object, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    value = inputs[2]
    if value is None:
        return None
    return gaussian(value.second, position, value.share, averaged=True)


def softmax(run: object, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    if inputs[0] is None or "logarithm" in node.flags:
        return inputs[0]
    return Signal(inputs[0].values, position, averaging=True)


def quotient(graph: Graph, signals: InputSignals, position: int) -> Signal | None:
    """Weights over their sum, and linear attention q (k v) over its q (k 1); None for others."""
    node = graph.nodes[position]
    if len(node.inputs) != 2:
        return None
    value, divisor = node.inputs
    total = graph.nodes[graph.behind(divisor, (*CARRIERS, "pointwise"))]  # and a little, perhaps
    first = signals[value]
    if total.op == "sum" and graph.behind(total.inputs[0]) == graph.behind(value):
        weighs = first is not None and first.values.min() >= 0 and _multiplies(graph, position)
        return replace(first, averaging=True) if first is not None and weighs else None
    outer = graph.nodes[graph.behind(value)]
    if outer.op != "matmul" or total.op != "matmul" or outer.inputs[0] != total.inputs[0]:
        return None
    inner = graph.nodes[graph.behind(outer.inputs[1])]
    if inner.op != "matmul":
        return None
    query, key, averaged = (signals[source] for source in (outer.inputs[0], *inner.inputs))
    if averaged is None or any(item is None or item.values.min() < 0 for item in (query, key)):
        return None
    return gaussian(averaged.second, position, averaged.share, averaged=True)


def _multiplies(graph: Graph, position: int) -> bool:
    """Whether an activation becomes an operand of a matrix product as it is."""
    same = {position}
    for later, node in enumerate(graph.nodes[position:], position):
        if not same.isdisjoint(node.inputs):
            if node.op == "matmul":
                return True
            if node.op in (*CARRIERS, "concat"):
                same.add(later)
    return False
