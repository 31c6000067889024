"""Carried: streams that gates pass on, as highway networks do, and the weights that read them."""

from collections.abc import Iterator
from itertools import permutations

from fanin.graph._graph import Graph
from fanin.graph._mixtures import find_mixed, mixture
from fanin.graph._structure import Structure


def find_carried(graph: Graph, structure: Structure) -> Iterator[tuple[int, int, bool]]:
    """Weights that make t and f of x in t f + (1 - t) x, each with x and whether that is for loops.

    However small gates make x from layer to layer, f as large as one would take its place, and
    weights that make up for it are the larger the smaller it gets.

    None where a norm is between, which makes any x as large as one.
    """
    above = structure.above
    norms = graph.where(lambda node: node.op == "normalize")
    for position in range(len(graph.nodes)):
        mixed = mixture(graph, position)
        for new, stream in () if mixed is None else permutations((mixed.new, mixed.stream)):
            if mixed is None or stream not in above[mixed.gate] & above[new]:
                continue
            for end in {*structure.ends_at(mixed.gate), *structure.ends_at(new)}:
                read = stream in above[end] and not (above[end] - above[stream]) & norms
                if read and graph.nodes[end].op == "linear":
                    yield end, stream, False
    for end, stream in _find_leaking(graph, structure):
        yield end, stream, True


def _find_leaking(graph: Graph, structure: Structure) -> Iterator[tuple[int, int]]:
    """Weights that make f of x in k f + (1 - k) x, where a parameter or a number is k, each with x.

    In a loop x is small at first, and as large as what it forgets slowly takes in later.
    """
    above = structure.above
    for position in range(len(graph.nodes)):
        mixed = find_mixed(graph, position)
        for new, stream in () if mixed is None else permutations((mixed.new, mixed.stream)):
            if stream not in above[new]:
                continue
            for end in structure.ends_at(new):
                if stream in above[end] and graph.nodes[end].op == "linear":
                    yield end, stream
