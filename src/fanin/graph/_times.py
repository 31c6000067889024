"""Times: of state spaces the decay rates, stored as logarithms, and the time steps they act for."""

from collections.abc import Iterator

from fanin.graph._graph import CARRIERS
from fanin.graph._operations import having
from fanin.graph._sets import reach
from fanin.graph._structure import Structure

_BEFORE = CARRIERS | having("function") | {"shift"}


def find_decays(structure: Structure) -> Iterator[tuple[int, list[int]]]:
    """Parameters exp(p) that scale a softplus: where they act, and what that softplus reads."""
    nodes = structure.graph.nodes
    for position, node in enumerate(nodes):
        if node.param is None or "exp" not in node.param.through or not node.inputs:
            continue
        read = reach([node.inputs[0]], lambda at: _sources(structure, at))
        softplus = next((at for at in read if nodes[at].function == "softplus"), None)
        if softplus is not None:
            steps = list(reach([softplus], lambda at: _sources(structure, at)))
            yield position, [at for at in steps if nodes[at].param is not None]


def _sources(structure: Structure, position: int) -> tuple[int, ...]:
    node = structure.graph.nodes[position]
    return node.inputs if node.op in _BEFORE else ()
