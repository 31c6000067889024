"""Recipes by name."""

import inspect
from collections.abc import Callable
from dataclasses import replace

from fanin._expression import parse_expression
from fanin.errors import FaninError, quote, suggestion
from fanin.graph import Graph
from fanin.param import Param
from fanin.recipes._auto import AUTO
from fanin.recipes._choice import Choice
from fanin.recipes._depth import DEPTH
from fanin.recipes._domains import DOMAINS
from fanin.recipes._fixup import FIXUP
from fanin.recipes._language import LANGUAGE
from fanin.recipes._libraries import LIBRARIES
from fanin.recipes._lsuv import BATCH, LSUV
from fanin.recipes._orthogonal import ORTHOGONAL
from fanin.recipes._placing import place
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._transformers import TRANSFORMERS
from fanin.recipes._vision import VISION


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

# Recipes that may have arguments: "gamma(0.65)".
CALLED: dict[str, Callable[..., Recipe]] = {
    make.__name__: make for make in (*LANGUAGE, *DEPTH, *VISION, *DOMAINS)
}

# Recipes that a name alone does not make: what else they need.
_MADE = {
    "mup": "the shapes of a narrower model: pass recipe=fanin.recipes.mup(base={name: shape})",
}
_FUNCTIONS = {**_MADE, "lsuv": BATCH}  # what makes a recipe where it is called


def names() -> tuple[str, ...]:
    """The names that `find` knows."""
    return (*RECIPES, *CALLED, *_MADE)


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
    if recipe in RECIPES:
        return RECIPES[recipe]
    return _call(recipe)


def _call(spec: str) -> Recipe:
    """The recipe of a name with arguments: "gamma(0.65)"."""
    name, positional, keywords = parse_expression(spec, "recipe", "'auto' or 'gamma(0.65)'")
    if name not in CALLED:
        known = name in RECIPES and f" takes no arguments: write {name!r}."
        raise FaninError(f"recipe {name}{known}" if known else _say_unknown(name))
    try:
        inspect.signature(CALLED[name]).bind(*positional, **keywords)
    except TypeError as error:
        raise FaninError(f"recipe {quote(spec)} cannot be made: {error}.") from None
    return CALLED[name](*positional, **keywords)


def _say_unknown(name: str) -> str:
    return f"unknown recipe {quote(name)}{suggestion(name, names())}"
