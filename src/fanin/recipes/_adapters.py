"""Adapters: low-rank updates of frozen weights, as the graph of a run shows them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from fanin.errors import FaninError
from fanin.graph import CARRIERS, Graph, Node, Use, factor
from fanin.param import Param

_MOST_STEPS = 64  # from a sum back to a weight


class LowRankUpdate(NamedTuple):
    """W + factor B A: how the run uses the frozen W (out, in), A (rank, in) and B (out, rank)."""

    base: Use
    first: Use  # A
    last: Use  # B
    factor: float
    rank: int


def find_adapters(graph: Graph, params: Mapping[str, Param]) -> list[LowRankUpdate]:
    """Every W x + factor B A x of a run with W frozen; FaninError where a W has two of them."""
    found = list(dict.fromkeys(_find(graph, params)))
    counts = Counter(adapter.base.name for adapter in found)
    for name, count in counts.items():
        if count > 1:
            raise FaninError(
                f"{name} of shape {params[name].shape} has {count} low-rank updates in this run, "
                "and one alone can start from it. Let one be active, and merge or disable others."
            )
    return found


def _find(graph: Graph, params: Mapping[str, Param]) -> Iterator[LowRankUpdate]:
    for node in graph.nodes:
        if node.op != "add":
            continue
        left, right = node.inputs
        subtracted = "difference" in node.flags
        pairs = [(left, right, -1.0 if subtracted else 1.0)]
        pairs += [] if subtracted else [(right, left, 1.0)]  # not B A x - W x
        for stream, branch, sign in pairs:
            adapter = _match(graph, params, stream, branch, sign)
            if adapter is not None:
                yield adapter


def _match(
    graph: Graph, params: Mapping[str, Param], stream: int, branch: int, sign: float
) -> LowRankUpdate | None:
    last, scale = _find_weight(graph, branch)
    if last is None:
        return None
    first, inner = _find_weight(graph, graph.nodes[last].inputs[0])
    base = _find_base(graph, params, stream)
    if first is None or base is None:
        return None
    nodes = [graph.nodes[at] for at in (base, first, last)]
    sources = {graph.behind(node.inputs[0]) for node in nodes[:2]}
    uses = [_matrix_of(node, params) for node in nodes]
    if len(sources) > 1 or None in uses:
        return None
    whole, down, up = (use for use in uses if use is not None)
    trains = [params[use.name].trainable for use in (whole, down, up)]
    rank = params[down.name].shape[down.axes.axis("out")]
    small = rank <= min(params[whole.name].shape)
    if trains != [False, True, True] or not small:
        return None
    return LowRankUpdate(whole, down, up, sign * scale * inner, rank)


def _find_weight(graph: Graph, at: int) -> tuple[int | None, float]:
    """The weight whose output, times a number and plus a bias, a node is."""
    scale = 1.0
    for _ in range(_MOST_STEPS):
        node = graph.nodes[at]
        number = factor(node)
        if node.op == "linear":
            return at, scale
        if node.op not in (*CARRIERS, "shift") and number is None:
            break
        scale *= 1.0 if number is None else number
        if not node.inputs:
            break
        at = node.inputs[0]
    return None, scale


def _find_base(graph: Graph, params: Mapping[str, Param], at: int) -> int | None:
    """The frozen weight whose output, plus biases and other updates, a node is."""
    for _ in range(_MOST_STEPS):
        node = graph.nodes[at]
        if node.op == "linear":
            frozen = node.param is not None and not params[node.param.name].trainable
            return at if frozen else None
        if node.op not in (*CARRIERS, "shift", "add") or not node.inputs:
            return None
        at = node.inputs[0]
    return None


def _matrix_of(node: Node, params: Mapping[str, Param]) -> Use | None:
    """The use of a weight that acts as a matrix and through no function; None of any other."""
    use = node.param
    if use is None or use.through or use.row is not None or use.name not in params:
        return None
    plain = sorted(use.axes.roles) == ["in", "out"] and use.axes.groups == 1
    return use if plain else None
