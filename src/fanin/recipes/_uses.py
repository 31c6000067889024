"""Uses: what a run of the model adds to what its modules say of the parameters."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fanin.axes import Axes, no_roles
from fanin.graph import Graph, Node, Use, Values, having
from fanin.param import Kind, Param
from fanin.recipes._acting import only_sizes, stays_invertible

_ELEMENTWISE = ("scale", "shift", "parameter", "linear")
_NEARLY_CARRIED = having("carries", "window")


def positions(graph: Graph | None) -> dict[str, list[int]]:
    """The nodes at which each parameter works, in the order of the run."""
    found: dict[str, list[int]] = {}
    for position, node in enumerate(graph.nodes if graph else ()):
        for use in (*((node.param,) if node.param else ()), *node.uses):
            found.setdefault(use.name, []).append(position)
    return found


def refine(params: Mapping[str, Param], graph: Graph | None) -> dict[str, Param]:
    """The parameters with the kind, the axes and the activation that their operations show.

    Those that no operation shows, and all without a graph, are as the module tree says.
    """
    if graph is None:
        return dict(params)
    at = positions(graph)
    return {
        name: _refine(param, [graph.nodes[position] for position in at[name]], graph)
        if name in at
        else param
        for name, param in params.items()
    }


def find_known_values(param: Param, *, read: bool) -> Values | None:
    """The values that a parameter stays at: its own, if they may be read, or its constant."""
    values: Values | None = param.read() if read and param.read is not None else None
    if values is not None and values.size and np.isfinite(values).all():
        return values
    return None if param.constant is None else np.asarray(param.constant)


def constants(params: Mapping[str, Param], graph: Graph | None) -> dict[str, tuple[str, ...]]:
    """Parameters that act element by element through a function, as a decay rate does, and it.

    What only scales, moves or normalizes a parameter makes no constant of it, nor does any
    function of rows that are drawn. A matrix is one only where it was not drawn, as the exponents
    of a state space are that a product sums over, and where a model is to invert it: one of a
    flow's triangles has the inverse that its maker counts on, and a drawn one's is huge.
    """
    shapes = {name: param.shape for name, param in params.items()}
    found: dict[str, tuple[str, ...]] = {}
    for node in graph.nodes if graph else ():
        use = node.param
        if use is None or node.op not in _ELEMENTWISE or use.name in found or not use.through:
            continue
        param = params.get(use.name)
        if param is None or param.kind in ("magnitude", "direction"):
            continue
        said = param.constant or param.meant or not has_rows(param, [node])
        if node.op in ("linear", "parameter") and stays_invertible(use, shapes):
            assert use.function is not None
            found = dict.fromkeys(use.function.of, use.through) | found  # its diagonal stays, too
            continue
        if (node.op == "linear" and not said) or only_sizes(use, shapes):
            continue
        if param.constant is not None or param.kind != "table":
            found[use.name] = use.through
    return found


def _refine(param: Param, nodes: list[Node], graph: Graph) -> Param:
    ops = {node.op for node in nodes}
    slope = param.kind == "scale" and ops == {"parameter"}  # of an activation
    low_rank = param.kind == "shift" and has_rows(param, nodes)
    if "recurrent" in ops:
        return _refine_recurrent(param, nodes)
    if low_rank or param.kind in ("recurrent", "magnitude", "norms", "factor") or slope:
        return param
    first = next((node for node in nodes if node.op in ("lookup", "linear")), nodes[0])
    assert first.param is not None
    axes = first.param.axes
    if "lookup" in ops:
        return replace(param, kind="table", axes=axes)
    if "linear" in ops:
        if param.kind == "shift":  # a weight that starts at zero
            return param
        told = first.param.fans is None or param.kind == "other"
        return replace(
            param,
            kind="direction" if param.kind == "direction" else "weight",
            axes=axes if told and not param.axes.blocks else param.axes,
            activation=activation_before(graph, first),
        )
    kind = "bias" if _covers_units(nodes) else _elementwise_kind(param, ops, nodes)
    return replace(param, kind=kind, axes=_axes_of(param))


def _refine_recurrent(param: Param, nodes: list[Node]) -> Param:
    """A weight of a recurrent layer, whose gates the operations may tell where no tree does."""
    if param.kind != "weight" or param.axes.blocks:
        return param
    use = next(use for node in nodes for use in node.uses if use.name == param.name)
    if not {"in", "out"} <= set(use.axes.roles):
        return param
    kind: Kind = "weight" if use.layer is not None else "recurrent"
    return replace(param, kind=kind, axes=use.axes)


def count_uses(graph: Graph, at: Collection[int], use: Use) -> int:
    """At how many of these nodes a parameter is used as here; of a stack, this row of it."""
    others = (graph.nodes[position].param for position in at)
    return sum(other is not None and other.row == use.row for other in others)


def _covers_units(nodes: list[Node]) -> bool:
    """Whether a parameter has one element for every unit of the weights that it is added to."""
    return all(node.op == "shift" and "units" in node.flags for node in nodes)


def has_rows(param: Param, nodes: Collection[Node]) -> bool:
    """Whether a parameter has more than one axis, beside that along which layers' are stacked."""
    stacked = all(node.param is not None and node.param.row is not None for node in nodes)
    return sum(size > 1 for size in param.shape) > 1 + stacked


def _elementwise_kind(param: Param, ops: Collection[str], nodes: list[Node]) -> Kind:
    if "parameter" in ops:
        return "table"
    if "scale" in ops:
        return "scale"
    if param.kind in ("bias", "shift"):
        return param.kind
    return "table" if has_rows(param, nodes) else "bias"


def _axes_of(param: Param) -> Axes:
    known = param.kind in ("bias", "scale", "shift")  # whose gates the module tree may tell apart
    return param.axes if known else no_roles(param.shape)


def activation_before(graph: Graph, node: Node) -> Callable[..., Any] | None:
    """The function of one value that feeds a weight, dropout and pooling aside."""
    source = graph.nodes[graph.behind(node.inputs[0], _NEARLY_CARRIED)]
    if source.op == "pointwise" and len(set(source.inputs)) == 1:
        return _of_one(source)
    return None


def _of_one(node: Node) -> Callable[..., Any] | None:
    """The function of a node whose inputs are all the same activation."""
    fn, count = node.fn, len(node.inputs)
    return None if fn is None else Shown(node.label, lambda x: fn(*[x] * count))


@dataclass(frozen=True, slots=True)
class Shown:
    """A function of one array under the name that people call it by."""

    label: str
    fn: Callable[..., Any]

    def __call__(self, x: Any) -> Any:
        """The function's value."""
        return self.fn(x)


def measure_apart(graph: Graph, fixed: Collection[str]) -> dict[int, float]:
    """What a run showed of the nodes in which only these parameters have a part."""
    if not graph.measured:
        return {}
    drawn: list[bool] = []
    for node in graph.nodes:
        uses = (*node.uses, *([node.param] if node.param else []))
        own = any(use.name not in fixed for use in uses)
        drawn.append(own or any(drawn[source] for source in node.inputs))
    return {at: second for at, second in graph.measured.items() if not drawn[at]}
