"""Rules that do not look at a graph: overrides by name, and one initializer for all weights."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from fanin.errors import FaninError
from fanin.initializers import Initializer, constant, get, ones, zeros
from fanin.recipes._choice import Choice
from fanin.recipes._graph import Graph
from fanin.recipes._recipe import Given, Params, Recipe


def given_by_name(
    names: Iterable[str], overrides: Mapping[str, str | Initializer] | None
) -> dict[str, Initializer]:
    """The initializers that the user fixed, by parameter name.

    `overrides` maps a parameter's name or a glob pattern to an initializer; the last match
    counts. A pattern that matches nothing is an error.
    """
    if overrides is None:
        return {}
    if not isinstance(overrides, Mapping):
        raise FaninError(f"overrides is {overrides!r}; it maps names or patterns to initializers.")
    specs = {pattern: get(spec) for pattern, spec in overrides.items()}
    unused = dict.fromkeys(specs)
    found: dict[str, Initializer] = {}
    for name in names:
        for pattern, initializer in specs.items():
            if pattern == name or fnmatchcase(name, pattern):
                unused.pop(pattern, None)
                found[name] = initializer
    if unused:
        raise FaninError(f"overrides names {', '.join(unused)}: the model has no such parameter.")
    return found


def single(initializer: str | Initializer) -> Recipe:
    """The recipe that gives every weight this initializer, and the identity to all the rest."""
    weights = get(initializer)

    def choose(params: Params, graph: Graph | None, given: Given) -> dict[str, Choice]:
        choices: dict[str, Choice] = {}
        for name, param in params.items():
            match param.kind:
                case "weight" | "table" | "recurrent" | "direction":
                    choices[name] = Choice(weights, param.kind, "as asked for")
                case "bias" | "shift":
                    choices[name] = Choice(zeros(), param.kind, "starts at zero")
                case "scale":
                    same = param.made in (None, 1.0)
                    start = ones() if same else constant(param.made or 0.0)
                    choices[name] = Choice(start, param.kind, "as it was made")
        return choices

    return Recipe(str(weights), choose, "the caller's")
