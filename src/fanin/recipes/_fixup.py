"""The recipe `fixup`: residual networks without normalization."""

from collections.abc import Iterator
from dataclasses import replace

from fanin.graph import Graph, Residual, Structure, reach
from fanin.initializers import he_normal, variance_scaling, zeros
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.recipes._digits import round_size
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe

HE = 2.0  # the scale of He's initializer, which the rule shrinks


def fixup(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """The head and the last weight of each residual branch zero, the branch's others shrunk.

    With L residual branches in the model and m weights along the longest way through a branch,
    the branch's other weights have He's standard deviation times L**(-1/(2m - 2)). All other
    weights have He's. Biases are zero, scales one: the scalars that Fixup adds to a network
    must be in the model. Of a branch that ends in a normalization, its scale is zero instead of
    the last weight. Needs a graph.

    Source: Zhang et al. 2019, section 3 ("Fixup initialization", rules 1 to 3).
    """
    assert graph is not None
    zero, factors = _fixup(graph)

    def rule(param: Param) -> Choice | None:
        if param.name in zero and param.kind != "magnitude":
            return Choice(zeros(), param.kind, zero[param.name])
        if param.kind not in ("weight", "direction"):
            return None
        if param.name in factors:
            factor, why = factors[param.name]
            scale = round_size(HE * factor * factor)
            return Choice(variance_scaling(scale, "fan_in", "normal"), param.kind, why)
        return Choice(he_normal(), param.kind, "in no residual branch: He's")

    return place(params, graph, rule)


def _fixup(graph: Graph) -> tuple[dict[str, str], dict[str, tuple[float, str]]]:
    """The weights that are zero, with the reason, and the others' factors of std with theirs."""
    structure = Structure(graph)
    residuals = structure.residuals
    inside = {node: _weights(structure, residual) for node, residual in residuals.items()}
    zero: dict[str, str] = {}
    factors: dict[str, tuple[float, str]] = {}
    # A branch within a branch comes last, so that its own depth decides.
    for node in sorted(residuals, key=lambda residual: -len(inside[residual])):
        depth = _depth(graph, residuals[node].branch, inside[node])
        last = set(_last(structure, residuals[node]))
        zero |= {_name(graph, end): "ends a residual branch, so it starts at zero" for end in last}
        for weight in inside[node]:
            name = _name(graph, weight)
            if weight not in last and depth > 1:
                factor = len(residuals) ** (-1 / (2 * depth - 2))
                why = f"1 of {depth} weights of a branch, {len(residuals)} branches"
                factors[name] = (factor, f"{why}: He's std times {factor:.4g}")
    zero |= {_name(graph, head): "the head starts at zero" for head in structure.heads}
    return zero, factors


def _weights(structure: Structure, residual: Residual) -> list[int]:
    """The weights of a branch, without those of another stream, as of an encoder it attends to."""
    inside = structure.between(residual.stream, residual.branch)
    base = _base(structure, residual)

    def before(position: int) -> Iterator[int]:
        if position in structure.residuals and base not in structure.above[position]:
            return iter(())
        return (source for source in structure.graph.nodes[position].inputs if source in inside)

    found = reach([residual.branch], before)
    return sorted(at for at in found if structure.graph.nodes[at].op == "linear")


def _base(structure: Structure, residual: Residual) -> int:
    """Where a branch leaves its stream: both come from it."""
    common = structure.up_to(residual.branch) & structure.up_to(residual.stream)
    return max(common, default=-1)


def _last(structure: Structure, residual: Residual) -> Iterator[int]:
    """What makes a branch zero: the last weights, before Fixup's scalar; or a norm's scale."""
    nodes = structure.graph.nodes
    for end in structure.ends(residual):
        if nodes[end].op == "scale" and nodes[nodes[end].inputs[0]].op != "normalize":
            yield from _last(structure, replace(residual, branch=nodes[end].inputs[0]))
        elif nodes[end].op in ("linear", "scale"):
            yield end


def _depth(graph: Graph, branch: int, weights: list[int]) -> int:
    """The largest number of these weights along a way that ends in `branch`."""
    longest = {-1: 0}
    own = set(weights)
    first = min(own, default=branch)
    for position in range(first, branch + 1):
        before = max((longest.get(source, 0) for source in graph.nodes[position].inputs), default=0)
        longest[position] = before + (position in own)
    return longest.get(branch, 0)


def _name(graph: Graph, position: int) -> str:
    use = graph.nodes[position].param
    assert use is not None
    return use.name


FIXUP: Recipe = Recipe("fixup", fixup, "Zhang et al. 2019, section 3", needs="graph")
