"""Recipe: a rule for all parameters of a model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fanin.graph import Graph
from fanin.initializers import Initializer
from fanin.param import Param
from fanin.recipes._choice import Choice

Params = Mapping[str, Param]
Given = Mapping[str, Initializer]


@dataclass(frozen=True, slots=True)
class Recipe:
    """`choose(params, graph, given)` returns a choice for every parameter that it can place.

    `graph` is None where the model was not run; a recipe that needs one says so in
    `needs_graph`. `given` are the initializers that the user fixed by name. `source` is the
    paper or the code that the rule comes from.
    """

    name: str
    choose: Callable[[Params, Graph | None, Given], dict[str, Choice]]
    source: str
    needs_graph: bool = False
