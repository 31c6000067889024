"""Rules that do not look at a graph: overrides by name, and one initializer for all weights."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from fanin.errors import FaninError, quote, suggestion
from fanin.graph import Graph
from fanin.initializers import Initializer, constant, get, ones, zeros
from fanin.recipes._choice import Choice
from fanin.recipes._recipe import GivenInitializers, Params, Recipe
from fanin.recipes._tree import FACTORS, NORMS


def match_overrides(
    names: Iterable[str],
    overrides: Mapping[str, str | Initializer] | None,
    aliases: Mapping[str, str] | None = None,
) -> dict[str, Initializer]:
    """The initializers that the user fixed, by parameter name.

    `overrides` maps a parameter's name or a glob pattern to an initializer. A key that is a
    parameter's name is that name alone and wins over patterns; of patterns the last match
    counts. A key that matches nothing is an error. `aliases` has the names by the other ones
    that tied parameters have; those count as well.
    """
    if overrides is None:
        return {}
    if not isinstance(overrides, Mapping):
        raise FaninError(
            f"overrides is {quote(overrides)}; it maps names or patterns to initializers."
        )
    for key in overrides:
        if not isinstance(key, str):
            raise FaninError(
                f"overrides has the key {quote(key)}; keys are names of parameters or patterns, as "
                "text, such as '0.weight' or '*.bias'."
            )
    known, others = list(names), aliases or {}
    own = set(known)
    specs = {
        key if key in own else others.get(key, key): _make(key, spec)
        for key, spec in overrides.items()
    }
    exact = {name: specs[name] for name in known if name in specs}
    found: dict[str, Initializer] = {}
    unused: list[str] = []
    for pattern in (key for key in specs if key not in exact):
        matched = [name for name in known if fnmatchcase(name, pattern)]
        matched += [others[name] for name in others if fnmatchcase(name, pattern)]
        found.update(dict.fromkeys(matched, specs[pattern]))
        unused += [] if matched else [pattern]
    if unused:
        hint = suggestion(unused[0], known) if known else "."
        raise FaninError(
            f"overrides names {', '.join(unused[:8])}: the model has no such parameter{hint}"
        )
    return found | exact


def _make(key: str, spec: str | Initializer) -> Initializer:
    try:
        return get(spec)
    except FaninError as error:
        raise FaninError(f"overrides[{key!r}]: {error}") from None


def single(initializer: str | Initializer) -> Recipe:
    """The recipe that gives every weight this initializer, and the identity to all the rest."""
    weights = get(initializer)

    def choose(params: Params, graph: Graph | None, given: GivenInitializers) -> dict[str, Choice]:
        choices: dict[str, Choice] = {}
        for name, param in params.items():
            match param.kind:
                case "weight" | "table" | "recurrent" | "direction":
                    choices[name] = Choice(weights, param.kind, "as asked for")
                case "bias" | "shift":
                    choices[name] = Choice(zeros(), param.kind, "starts at zero")
                case "norms":
                    choices[name] = Choice(None, "magnitude", NORMS)
                case "factor":
                    choices[name] = Choice(None, "adapter", FACTORS)
                case "scale":
                    same = param.constant in (None, 1.0)
                    start = ones() if same else constant(param.constant or 0.0)
                    choices[name] = Choice(start, param.kind, "as it was made")
        return choices

    return Recipe(str(weights), choose, "the caller's")
