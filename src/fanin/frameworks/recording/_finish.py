"""Finish: the graph from what was recorded: dead ends left out, packed projections noted."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fanin.frameworks.recording._record import Piece, Recorder
from fanin.graph import Graph, Node, Use, having, reach

# Behind these a piece of a projection is no longer itself.
_ENDS = having("weight", "breaks") - having("pair")


def finish(recorder: Recorder, outputs: list[int], names: Iterable[str]) -> Graph:
    """The graph of the nodes that lead to an output or use a parameter."""
    note_packed(recorder, outputs)
    pruned, _ = prune(recorder.nodes, outputs)
    return replace(pruned, unused=tuple(name for name in names if name not in recorder.touched))


def note_packed(recorder: Recorder, outputs: Sequence[int]) -> None:
    """Tell the uses of weights of which pieces go apart how they are packed."""
    graph = Graph(tuple(recorder.nodes), tuple(outputs))
    users = graph.users()
    for position, pieces in recorder.pieces.items():
        sizes, period = _pack(pieces)
        if sizes and not _rejoins(graph, users, pieces):
            use = recorder.nodes[position].param
            assert use is not None
            recorder.replace_node(position, param=_with_blocks(recorder, use, sizes, period))


def _pack(pieces: list[Piece]) -> tuple[tuple[int, ...], int]:
    """Sizes of pieces that cover their period one behind another; none if they do not."""
    spans = sorted({(piece.start, piece.size) for piece in pieces})
    periods = {piece.period for piece in pieces}
    reached = 0
    for start, size in spans:
        if start != reached:
            return (), 0
        reached += size
    period = periods.pop()
    whole = not periods and reached == period and len(spans) > 1
    return (tuple(size for _, size in spans), period) if whole else ((), 0)


def _rejoins(graph: Graph, users: tuple[tuple[int, ...], ...], pieces: list[Piece]) -> bool:
    """Whether two different pieces meet in one tensor again, as rotary halves do."""
    met: dict[int, tuple[int, int]] = {}

    def goes_on(at: int) -> tuple[int, ...]:
        return () if graph.nodes[at].op in _ENDS else users[at]

    for piece in pieces:
        span = (piece.start, piece.size)
        for at in reach([piece.node], goes_on):
            if graph.nodes[at].op == "concat" and met.setdefault(at, span) != span:
                return True
    return False


def _with_blocks(recorder: Recorder, use: Use, sizes: tuple[int, ...], period: int) -> Use:
    shape = recorder.shapes[use.name]
    if use.fans is not None or "out" not in use.axes.roles or use.axes.groups > 1:
        return use
    width = shape[use.axes.axis("out")]
    if use.axes.roles.count("out") > 1 or width % period:
        return use
    if width != period:
        return replace(use, period=sizes)
    return replace(use, axes=replace(use.axes, blocks=sizes))


def prune(nodes: Sequence[Node], outputs: Iterable[int]) -> tuple[Graph, dict[int, int]]:
    """Without dead ends, and where each node went; a parameter's only uses are kept."""
    outputs = list(dict.fromkeys(outputs))
    needed = [node.op == "input" for node in nodes]
    _mark(nodes, needed, outputs)
    kept = {
        use.name for node, keep in zip(nodes, needed, strict=True) if keep for use in _uses(node)
    }
    lost = [i for i, node in enumerate(nodes) if any(use.name not in kept for use in _uses(node))]
    _mark(nodes, needed, lost)
    places = {old: new for new, old in enumerate(i for i, keep in enumerate(needed) if keep)}
    moved = [
        replace(nodes[old], inputs=tuple(places[source] for source in nodes[old].inputs))
        for old in places
    ]
    return Graph(tuple(moved), tuple(places[output] for output in outputs)), places


def _mark(nodes: Sequence[Node], needed: list[bool], wanted: list[int]) -> None:
    """Marks nodes and everything before them."""
    for position in wanted:
        needed[position] = True
    for position in range(len(nodes) - 1, -1, -1):
        if needed[position]:
            for source in nodes[position].inputs:
                needed[source] = True


def _uses(node: Node) -> tuple[Use, ...]:
    return node.uses if node.param is None else (*node.uses, node.param)
