"""Canonical names: what an array is called in every framework."""

from collections.abc import Mapping, Sequence

from fanin.errors import FaninError, quote, suggestion
from fanin.frameworks._naming import put, rename_all
from fanin.frameworks.jax.tree._held import Held

# What JAX libraries call the parameter that other frameworks call a weight.
_WEIGHTS = ("kernel", "embedding", "scale")


def canonical(path: Sequence[str]) -> str:
    """Path parts joined with dots; a last part that names a weight is "weight"."""
    *head, last = path or ("value",)
    return ".".join((*head, "weight" if last in _WEIGHTS else last))


def names_of(held: Sequence[Held], rename: Mapping[str, str] | None) -> list[str]:
    """The canonical name of every array, in order.

    `rename` maps a canonical name, that of a tie, or the model's own, to the one wanted. Raises
    FaninError where two parameters come to one name, and for a name in `rename` that is not there.
    """
    given = {} if rename is None else rename
    if not isinstance(given, Mapping):
        raise FaninError(f"rename is {quote(rename)}; it maps names found to names wanted.")
    found: dict[str, Held] = {}
    wanted: dict[str, str] = {}
    known: set[str] = set()
    for item in filter(lambda item: item.trained, held):
        own = ".".join(item.path) or "value"
        put(found, own, item, _shape_of, "name the parts of the tree apart")
        mine = [own, canonical(item.path), *map(canonical, item.aliases)]
        wanted[own] = next((given[name] for name in mine if name in given), mine[1])
        known.update(mine)
    for name in given:
        if name not in known:
            raise FaninError(f"rename has {quote(name)}{suggestion(str(name), sorted(known))}")
    trained = iter(rename_all(found, wanted, {}, _shape_of))
    return [next(trained) if item.trained else canonical(item.path) for item in held]


def _shape_of(item: Held) -> tuple[int, ...]:
    return item.shape
