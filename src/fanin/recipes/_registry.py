"""Recipes by name."""

from fanin.errors import FaninError, suggestion
from fanin.recipes._auto import AUTO
from fanin.recipes._recipe import Recipe

RECIPES = {recipe.name: recipe for recipe in (AUTO,)}


def names() -> tuple[str, ...]:
    """The names that `find` knows."""
    return tuple(RECIPES)


def find(recipe: str | Recipe) -> Recipe:
    """The recipe of a name; a Recipe is returned as it is."""
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise FaninError(f"recipe is {recipe!r}; give a name or a Recipe.")
    if recipe not in RECIPES:
        raise FaninError(f"unknown recipe {recipe!r}{suggestion(recipe, names())}")
    return RECIPES[recipe]
