"""Dropout: by how much what it does in training makes activations larger than in eval mode."""

from fanin.graph import Graph, having


def dropout_factor(graph: Graph) -> float:
    """The largest factor of a second moment, along a path without a normalization.

    Inverted dropout of a rate p divides what it keeps by 1 - p: the mean stays, and the second
    moment is 1 / (1 - p) times as large.
    """
    factors: list[float] = []
    for node in graph.nodes:
        sources = () if node.op in having("own size") else node.inputs
        fed = max((factors[source] for source in sources), default=1.0)
        kept = 1 - (node.rate or 0.0) if node.op == "dropout" else 1.0
        factors.append(fed / kept if kept > 0 else fed)
    return max(factors, default=1.0)
