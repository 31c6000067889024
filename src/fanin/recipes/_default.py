"""The recipe that is taken where none is named: `auto`, and rules by kind for all it leaves."""

from dataclasses import replace

from fanin.graph import Graph
from fanin.param import Param
from fanin.recipes._auto import AUTO
from fanin.recipes._choice import Choice
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe


def _choose(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """What the run showed decides; the rules by kind take the rest."""
    chosen = AUTO.choose(params, graph, given)

    def rule(param: Param) -> Choice | None:
        choice = chosen.get(param.name)
        # The norms of a weight follow from its size, what starts at zero is no weight of its own,
        # what reads a state is to keep its length, and an activation's slope is no token.
        by_kind = param.kind in ("magnitude", "shift", "norms", "factor", "recurrent")
        slope = choice is not None and param.kind == "scale" and choice.role == "token"
        return None if by_kind or slope else choice

    return place(params, graph, rule)


DEFAULT: Recipe = replace(AUTO, choose=_choose)
