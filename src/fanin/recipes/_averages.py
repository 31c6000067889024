"""Averages in a propagation: attention, softmax, and quotients that do the same by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeGuard

from fanin.graph import CARRIERS, Graph, Node
from fanin.graph.signal import Signal, gaussian

InputSignals = Sequence[Signal | None]
SumPair = tuple[int, int]  # the nodes of a sum of products and of the sum of their weights
KnownAverages = dict[SumPair, Signal | None]  # what such a pair averages; None: no average


def attention(run: object, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    value = inputs[2]
    if value is None:
        return None
    return gaussian(value.second, position, value.share, averaged=True)


def softmax(run: object, position: int, node: Node, inputs: InputSignals) -> Signal | None:
    if inputs[0] is None or "logarithm" in node.flags:
        return inputs[0]
    if node.count == 1:  # of one number alone: one
        return gaussian(1.0, position, 1.0, mean=1.0)
    return Signal(inputs[0].values, position, averaging=True)


def exponential(graph: Graph, signals: InputSignals, position: int) -> Signal | None:
    """The softmax whose logarithm an exponential reads; None for other numbers."""
    logarithm = graph.behind(graph.nodes[position].inputs[0])
    node = graph.nodes[logarithm]
    if node.op != "softmax" or "logarithm" not in node.flags:
        return None
    logits = signals[node.inputs[0]]
    return None if logits is None else Signal(logits.values, position, averaging=True)


def quotient(
    graph: Graph, signals: InputSignals, position: int, known: KnownAverages
) -> Signal | None:
    """Weights over their sum, and attention over its sum of weights; None for others.

    `known` keeps what a run finds of sums, so that each step of a loop is looked at once.
    """
    node = graph.nodes[position]
    if len(node.inputs) != 2:
        return None
    value, divisor = node.inputs
    count = graph.behind(divisor, (*CARRIERS, "pointwise"))  # and a little, perhaps
    total = graph.nodes[count]
    if total.op == "sum":
        return _weigh(graph, signals, position, graph.behind(total.inputs[0]))
    outer = graph.nodes[graph.behind(value)]
    if outer.op == total.op == "add":
        return _weigh_terms(graph, signals, position, (graph.behind(value), count), known)
    if outer.op != "matmul" or total.op != "matmul":
        return None
    return _attend(graph, signals, position, outer, total)


def _weigh(graph: Graph, signals: InputSignals, position: int, weights: int) -> Signal | None:
    """Weights over their sum, or what they multiply, before it is summed or after."""
    value = graph.behind(graph.nodes[position].inputs[0])
    first = signals[weights]
    if not _is_weight(first):
        return None
    if value == weights:
        return replace(first, averaging=True) if _multiplies(graph, position) else None
    summed = graph.nodes[value].op == "sum"
    product = graph.nodes[graph.behind(graph.nodes[value].inputs[0]) if summed else value]
    factors = [graph.behind(source) for source in product.inputs]
    if product.op != "mul" or weights not in factors:
        return None
    averaged = signals[factors[factors[0] == weights]]
    if averaged is None or not (summed or _multiplies(graph, position, product=True)):
        return None
    if summed:
        return gaussian(averaged.second, position, averaged.share, averaged=True)
    return replace(averaged, weighted=True)


def _attend(
    graph: Graph, signals: InputSignals, position: int, outer: Node, total: Node
) -> Signal | None:
    """Linear attention, written as q (k v) or, of columns, as (v k) q."""
    for side in (0, 1):
        inner = graph.nodes[graph.behind(outer.inputs[1 - side])]
        if outer.inputs[side] != total.inputs[side] or inner.op != "matmul":
            continue
        sources = outer.inputs[side], inner.inputs[side], inner.inputs[1 - side]
        query, key, averaged = (signals[source] for source in sources)
        if averaged is None or not (_is_weight(query) and _is_weight(key)):
            continue
        return gaussian(averaged.second, position, averaged.share, averaged=True)
    return None


def _weigh_terms(
    graph: Graph, signals: InputSignals, position: int, pair: SumPair, known: KnownAverages
) -> Signal | None:
    """Products with weights, added one by one, over the weights that were added in the same way.

    As the states of RWKV, e n + f v over e d + f from step to step (Peng et al. 2023).
    """
    terms: dict[SumPair, list[SumPair]] = {}
    pairs = [pair]
    while pairs:
        current = pairs.pop()
        if current in known or current in terms:
            continue
        read = _read_terms(graph, signals, current)
        if isinstance(read, Signal):
            known[current] = read
            continue
        # The states before the first step are zeros, both.
        terms[current] = [term for term in read if any(not _is_zero(signals[at]) for at in term)]
        pairs += terms[current]
    for current in sorted(terms):  # what is summed was made before its sum
        held = [known[term] for term in terms[current]]
        found = [signal for signal in held if signal is not None]
        whole = bool(held) and len(found) == len(held)
        known[current] = max(found, key=lambda signal: signal.second) if whole else None
    averaged = known[pair]
    if averaged is None:
        return None
    return gaussian(averaged.second, position, averaged.share, averaged=True)


def _read_terms(graph: Graph, signals: InputSignals, pair: SumPair) -> Signal | list[SumPair]:
    """The value that a product and its weight weigh, or the terms of two sums, in pairs.

    No terms where the two are no such sums.
    """
    top, bottom = (graph.nodes[side] for side in pair)
    terms, weights = ([graph.behind(source) for source in node.inputs] for node in (top, bottom))
    if top.op == bottom.op == "add" and not (top.flags | bottom.flags) & {"difference"}:
        across = list(zip(terms, reversed(weights), strict=True))
        crossed = any(_share_weight(graph, *sides) for sides in across)
        return across if crossed else list(zip(terms, weights, strict=True))
    common = {pair[1]} & {*terms} or ({*terms} & {*weights} if bottom.op == "mul" else set())
    if top.op != "mul" or len(common) != 1 or not _is_weight(signals[min(common)]):
        return []
    weighed = terms[terms[0] in common]
    if pair[1] not in common:  # both are the state before, times how much of it is kept
        return [(weighed, weights[weights[0] in common])]
    return signals[weighed] or []


def _share_weight(graph: Graph, term: int, weight: int) -> bool:
    """Whether a weight, or a factor of it, is a factor of a term."""
    node, other = graph.nodes[term], graph.nodes[weight]
    factors = {graph.behind(source) for source in node.inputs}
    own = {graph.behind(source) for source in other.inputs} if other.op == "mul" else {weight}
    return node.op == "mul" and bool(factors & own)


def _is_zero(signal: Signal | None) -> bool:
    return signal is not None and signal.second == 0


def _is_weight(signal: Signal | None) -> TypeGuard[Signal]:
    return signal is not None and signal.values.min() >= 0


def _multiplies(graph: Graph, position: int, product: bool = False) -> bool:
    """Whether an activation is an operand of a matrix product as it is, or of products summed.

    `product` says that it is such a product.
    """
    same, products = (set[int](), {position}) if product else ({position}, set[int]())
    for later, node in enumerate(graph.nodes[position:], position):
        moves = node.op in (*CARRIERS, "concat")
        if not same.isdisjoint(node.inputs):
            if node.op == "matmul":
                return True
            same |= {later} if moves else set()
            products |= {later} if node.op == "mul" else set()
        elif not products.isdisjoint(node.inputs):
            if node.op == "sum":
                return True
            products |= {later} if moves else set()
    return False
