"""Order: maps of positions as the graph has them, features first, wherever a library puts them."""

from fanin.frameworks.jax.record._record import Recorder
from fanin.graph import Node

# What leaves the dimensions of a map in their order.
_KEEPS = frozenset(
    (
        *("pointwise", "add", "mul", "normalize", "scale", "shift", "dropout", "pool", "max"),
        *("mean", "sum", "concat"),
    )
)
_SHOWN = frozenset(("constant_pad_nd", "mask", "slice", "select", "flip", "cast", "where"))


def put_features_first(recorder: Recorder) -> None:
    """Changes the shapes of nodes that are maps: (batch, features, positions ...)."""
    nodes, found = recorder.nodes, dict(recorder.maps)
    for position, node in enumerate(nodes):
        if position not in found and node.inputs and _keeps(nodes, node):
            known = [found[source] for source in node.inputs if source in found]
            if known:
                found[position] = known[0]
    for position, feature in recorder.reads.items():
        _look_back(nodes, found, nodes[position].inputs[0], feature)
    for position, feature in found.items():
        shape = nodes[position].shape
        if 1 < feature < len(shape):
            rest = shape[1:feature] + shape[feature + 1 :]
            recorder.replace_node(position, shape=(shape[0], shape[feature], *rest))


def _keeps(nodes: list[Node], node: Node) -> bool:
    if node.op == "view" and node.label not in _SHOWN:
        return False
    same = len(nodes[node.inputs[0]].shape) == len(node.shape)
    return same and (node.op in _KEEPS or node.op == "view")


def _look_back(nodes: list[Node], found: dict[int, int], position: int, feature: int) -> None:
    """Of what a convolution reads, back to where it was made."""
    while position not in found:
        found[position] = feature
        node = nodes[position]
        if not node.inputs or not _keeps(nodes, node):
            return
        position = node.inputs[0]
