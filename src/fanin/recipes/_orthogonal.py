"""The recipe `orthogonal`: dynamical isometry, corrected for each activation."""

from fanin.graph import Graph
from fanin.initializers import orthogonal as initializer
from fanin.param import Param
from fanin.recipes._choice import Choice
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._tree import activation_gain, after_activation


def orthogonal(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
    """Every weight orthogonal, times the gain 1 / sqrt(E f(z)**2) of the activation before it.

    The gates of recurrent layers are orthogonal one by one. Tables, biases, scales and shifts
    are as `auto` has them without a run. With a graph the activation is the one that ran.

    Source: Saxe et al. 2014, section 3, and their section 3.3 for gains of nonlinear layers.
    """
    return place(params, graph, orthogonal_rule)


def orthogonal_rule(param: Param) -> Choice | None:
    """An orthogonal weight with its gain; None for any other kind."""
    if param.kind not in ("weight", "direction"):
        return None
    made = initializer(activation_gain(param))
    return Choice(made, param.kind, f"orthogonal; {after_activation(param)}")


ORTHOGONAL: Recipe = Recipe("orthogonal", orthogonal, "Saxe et al. 2014, section 3")
