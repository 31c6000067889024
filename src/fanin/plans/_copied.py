"""Copied: parameters that get the values of others, where users duplicate layers."""

import re
from collections.abc import Mapping, Sequence

from fanin._columns import list_names
from fanin.errors import FaninError, quote, suggestion
from fanin.frameworks import Target
from fanin.plans._row import Row
from fanin.plans._selection import name_aliases


def find_copies(target: Target, like: Mapping[str, str] | None) -> dict[str, str]:
    """What each copied parameter is a copy of, by canonical names; copies of copies are followed.

    In a pattern each `*` stands for text that the other name has in the same place. FaninError
    where a pattern means no parameter, or one of another shape.
    """
    if like is None:
        return {}
    if not isinstance(like, Mapping) or not like:
        raise FaninError(
            f"like is {quote(like)}; give the copies and what they are copies of, such as "
            "{'blocks.4.*': 'blocks.3.*'}."
        )
    found: dict[str, str] = {}
    for copy, source in like.items():
        found |= _match(target, copy, source)
    sources = {name: _follow(name, found) for name in found}
    for name, source in sources.items():
        mine, its = target.slots[name].param, target.slots[source].param
        if (mine.shape, mine.dtype) != (its.shape, its.dtype):
            raise FaninError(
                f"{name} is {mine.dtype} of shape {mine.shape}, and {source}, whose values like= "
                f"gives it, {its.dtype} of shape {its.shape}; they must agree."
            )
    return sources


def _match(target: Target, copy: object, source: object) -> dict[str, str]:
    if not isinstance(copy, str) or not isinstance(source, str):
        raise FaninError(f"like has {quote(copy)}: {quote(source)}; both are names or patterns.")
    if copy.count("*") != source.count("*"):
        raise FaninError(
            f"like has {copy!r}: {source!r}; each * of the one stands for a * of the other, so "
            "that both have as many."
        )
    names = {name: name for name in target.slots} | name_aliases(target)
    pattern = re.compile("(.*)".join(map(re.escape, copy.split("*"))))
    matches = {name: met for name in names if (met := pattern.fullmatch(name))}
    if not matches:
        raise FaninError(
            f"like has {copy!r}, which no parameter matches{suggestion(copy, [*names])}"
        )
    found = {}
    for name, met in matches.items():
        texts = source.split("*")
        other = texts[0] + "".join(
            text + after for text, after in zip(met.groups(), texts[1:], strict=True)
        )
        if other not in names:
            raise FaninError(
                f"like makes {name} a copy of {other!r}, which is no parameter"
                f"{suggestion(other, [*names])}"
            )
        if names[other] != names[name]:  # else tied, and equal in any case
            found[names[name]] = names[other]
    if not found:
        raise FaninError(f"like has {copy!r}: {source!r}, which are the same parameters.")
    return found


def _follow(name: str, found: Mapping[str, str]) -> str:
    passed = [name]
    while passed[-1] in found:
        passed.append(found[passed[-1]])
        if passed[-1] == name:
            raise FaninError(
                f"like goes in a circle: {' is like '.join(passed)}. One of them must have values."
            )
    return passed[-1]


def require_sources(rows: Sequence[Row], target: Target) -> None:
    """FaninError where a copy is here, and what it is a copy of is not."""
    for row in rows:
        if row.like is not None and row.name in target.slots and row.like not in target.slots:
            raise FaninError(
                f"{row.name} of shape {row.shape} is a copy of {row.like}, which this part of the "
                "model does not hold. Apply the plan to the whole model, or copy it there."
            )


def note_copies(rows: Sequence[Row]) -> list[str]:
    """The note that equal layers start equal."""
    copies = [row for row in rows if row.like is not None]
    if not copies:
        return []
    names, sources = (
        list_names(list(dict.fromkeys(each)))
        for each in ((row.name for row in copies), (row.like or "" for row in copies))
    )
    return [
        f"{names} start equal to {sources}, and what gets equal gradients stays equal "
        "(fanin.check names it F09). Buffers are not copied."
    ]
