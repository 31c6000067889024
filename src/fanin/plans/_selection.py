"""Selection: which parameters of a model are drawn, and which stay as they are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from fanin.errors import FaninError, quote, suggestion
from fanin.frameworks import Target
from fanin.plans._row import Row

# A name or a glob pattern, several of them, or a function of a name.
Selection = str | Iterable[str] | Callable[[str], bool]


def find_held(
    target: Target,
    only: Selection | None,
    keep: Selection | None,
    named: Mapping[str, str],
) -> dict[str, str]:
    """The parameters that stay as they are, all but `only` or those of `keep`, and why.

    `named` are those that another argument names, and which: they are drawn, and without `only`
    and `keep` nothing else is.
    """
    if only is not None and keep is not None:
        raise FaninError("only and keep are both given; give one of them.")
    if keep is not None:
        kept = select(target, keep, "keep") - named.keys()
        return {name: "kept as it is, as keep= says" for name in target.slots if name in kept}
    if only is None and not named:
        return {}
    drawn = frozenset() if only is None else select(target, only, "only")
    said = " or ".join([*(["only="] if only is not None else []), *dict.fromkeys(named.values())])
    return {
        name: f"kept as it is, not among {said}"
        for name in target.slots
        if name not in drawn and name not in named
    }


def hold(rows: Sequence[Row], held: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of a plan; those held keep whatever their parameters have."""
    return tuple(
        replace(
            row,
            initializer=None,
            why=held[row.name],
            kept_sha256=None,
            keeps="asked",
            drawn_rows=None,
            like=None,
        )
        if row.name in held
        else row
        for row in rows
    )


def name_aliases(target: Target) -> dict[str, str]:
    """The canonical name by each other name of a tied parameter."""
    return {alias: name for name, slot in target.slots.items() for alias in slot.param.aliases}


def select(target: Target, selection: Selection, called: str) -> frozenset[str]:
    """The parameters of a selection, by canonical name; FaninError where it means none.

    Names of buffers are passed over: lists of missing keys have them.
    """
    names = {name: name for name in target.slots} | name_aliases(target)
    if callable(selection):
        found = {name for spelled, name in names.items() if selection(spelled)}
    else:
        buffers = frozenset(target.buffer_names())
        words = [selection] if isinstance(selection, str) else _words(selection, called)
        each = [_matching(word, names, buffers, called) for word in words]
        found = {name for part in each for name in part}
    if not found:
        raise FaninError(
            f"{called} selects no parameter; the model has {len(target.slots)}, such as "
            f"{', '.join([*target.slots][:3]) or 'none'}."
        )
    return frozenset(found)


def _words(selection: Iterable[str], called: str) -> list[str]:
    if not isinstance(selection, Iterable) or isinstance(selection, Mapping):
        raise FaninError(
            f"{called} is {quote(selection)}; give a name, a pattern such as 'head.*', a list of "
            "them, or a function of a name."
        )
    words = list(selection)
    for word in words:
        if not isinstance(word, str):
            raise FaninError(f"{called} has {quote(word)}; names and patterns are text.")
    return words


def _matching(
    word: str, names: Mapping[str, str], buffers: frozenset[str], called: str
) -> list[str]:
    if word in names:
        return [names[word]]
    if word in buffers:
        return []
    found = [name for spelled, name in names.items() if fnmatchcase(spelled, word)]
    if not found:
        raise FaninError(
            f"{called} has {word!r}, which no parameter matches{suggestion(word, [*names])}"
        )
    return found
