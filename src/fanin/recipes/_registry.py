"""Recipes by name."""

from dataclasses import replace

from fanin.errors import FaninError, quote, suggestion
from fanin.graph import Graph
from fanin.param import Param
from fanin.recipes._auto import AUTO
from fanin.recipes._choice import Choice
from fanin.recipes._fixup import FIXUP
from fanin.recipes._libraries import LIBRARIES
from fanin.recipes._lsuv import BATCH, LSUV
from fanin.recipes._orthogonal import ORTHOGONAL
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._transformers import TRANSFORMERS


def _auto(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
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


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (replace(AUTO, choose=_auto), ORTHOGONAL, *LIBRARIES, *TRANSFORMERS, FIXUP, LSUV)
}

# Recipes that a name alone does not make: what else they need.
_MADE = {
    "mup": "the shapes of a narrower model: pass recipe=fanin.recipes.mup(base={name: shape})",
}
_FUNCTIONS = {**_MADE, "lsuv": BATCH}  # what makes a recipe where it is called


def names() -> tuple[str, ...]:
    """The names that `find` knows."""
    return (*RECIPES, *_MADE)


def find(recipe: str | Recipe) -> Recipe:
    """The recipe of a name; a Recipe is returned as it is."""
    if isinstance(recipe, Recipe):
        return recipe
    if callable(recipe):
        name = getattr(recipe, "__name__", repr(recipe))
        needs = _FUNCTIONS.get(name)
        told = f"needs {needs}" if needs else "is to be called: pass what it returns"
        raise FaninError(f"recipe is the function {name} itself, which {told}.")
    if not isinstance(recipe, str):
        raise FaninError(f"recipe is {quote(recipe)}; give a name or a Recipe.")
    if recipe in _MADE:
        raise FaninError(f"recipe {quote(recipe)} needs {_MADE[recipe]}.")
    if recipe not in RECIPES:
        raise FaninError(f"unknown recipe {quote(recipe)}{suggestion(recipe, names())}")
    return RECIPES[recipe]
