"""Recipes by name."""

import inspect
from collections.abc import Callable

from fanin._expression import parse_expression
from fanin.errors import FaninError, quote, suggestion
from fanin.recipes._default import DEFAULT
from fanin.recipes._depth import DEPTH
from fanin.recipes._domains import DOMAINS
from fanin.recipes._factors import STARTS
from fanin.recipes._fixup import FIXUP
from fanin.recipes._language import LANGUAGE
from fanin.recipes._libraries import LIBRARIES
from fanin.recipes._lora import lora
from fanin.recipes._lsuv import BATCH, LSUV
from fanin.recipes._mimetic import MIMETIC
from fanin.recipes._orthogonal import ORTHOGONAL
from fanin.recipes._pinn import pinn
from fanin.recipes._recipe import Recipe
from fanin.recipes._recurrences import RECURRENCES
from fanin.recipes._transformers import TRANSFORMERS
from fanin.recipes._vision import VISION

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *(DEFAULT, ORTHOGONAL, *LIBRARIES, *TRANSFORMERS, MIMETIC, FIXUP, LSUV),
        *map(lora, STARTS),
    )
}

# Recipes that may have arguments: "gamma(0.65)".
CALLED: dict[str, Callable[..., Recipe]] = {
    make.__name__: make for make in (*LANGUAGE, *DEPTH, *VISION, *DOMAINS, pinn, *RECURRENCES)
}

# Recipes that a name alone does not make: what else they need.
_MADE = {
    "mup": "the shapes of a narrower model: pass recipe=fanin.recipes.mup(base={name: shape})",
    "lora": f"a start, which has a name of its own: recipe='pissa', say; {', '.join(STARTS)}",
} | {
    name: "the shapes of a narrower model, and the layers of the one that was tuned: pass recipe="
    f"fanin.recipes.{name}(base={{name: shape}}, layers=4)"
    for name in ("depth_mup", "completep")
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
    called: dict[str, Callable[..., Recipe]] = {**CALLED, "lora": lora}
    if name not in called:
        known = name in RECIPES and f" takes no arguments: write {name!r}."
        raise FaninError(f"recipe {name}{known}" if known else _say_unknown(name))
    try:
        inspect.signature(called[name]).bind(*positional, **keywords)
    except TypeError as error:
        raise FaninError(f"recipe {quote(spec)} cannot be made: {error}.") from None
    return called[name](*positional, **keywords)


def _say_unknown(name: str) -> str:
    return f"unknown recipe {quote(name)}{suggestion(name, names())}"
