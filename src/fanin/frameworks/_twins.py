"""Twins: what the same seed, name and shape made equal of two models that live in this process."""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol
from weakref import ref

from fanin.axes import Axes
from fanin.initializers import Initializer
from fanin.param import Param

# Seed, name of the stream, shape: all that decides a draw.
DrawKey = tuple[int, str, tuple[int, ...]]


class StreamSlot(Protocol):
    """A slot whose values come from a stream."""

    @property
    def param(self) -> Param:
        """The neutral record."""

    @property
    def stream(self) -> str:
        """The name of its stream."""


Items = Iterable[tuple[StreamSlot, Initializer | None, Axes | None]]


class DrawPlace(NamedTuple):
    """Where a draw goes: a parameter's name, and the object that tells one model from another.

    That is the tensor or variable that is written, or the array that a new one is made for.
    """

    key: DrawKey
    name: str
    origin: Any


class _Drawn(ref):  # type: ignore[type-arg]
    """A reference to what was made; it knows its draw when that is gone."""

    __slots__ = ("group", "key", "origin")
    key: DrawKey
    origin: "ref[Any]"
    group: "_DrawnTogether"


@dataclass
class _DrawnTogether:
    """What one call drew, each with what another write would have changed."""

    items: "list[tuple[ref[Any], Any]]"
    # That it lived beside an equal one; no garbage is collected to tell it of more.
    told: bool = False


class Twins:
    """The latest draw of each key, for as long as what it made lives.

    `origin_of(slot)` is where its draw goes, None where that is not the whole of it.
    `holds(origin, made)` says whether one has the values of another already, as a copy does that
    is drawn again; `state_of(made)` is equal to itself for as long as it is not written.
    """

    def __init__(
        self,
        origin_of: Callable[[Any], Any],
        holds: Callable[[Any, Any], bool],
        state_of: Callable[[Any], Any],
    ) -> None:
        self._origin_of, self._holds, self._state_of = origin_of, holds, state_of
        self._latest: dict[DrawKey, _Drawn] = {}

    def find(self, items: Items, seed: int) -> list[str]:
        """Parameters whose draw another model has that lives, and was not trained since.

        Less those that hold it already, as a copy does that is drawn again.
        """
        found = self._find_fresh(self._list_places(items, seed))
        if not all(group.told for _, group in found):
            gc.collect()  # a model that is gone may still be in a cycle; many need no look each
            found = self._find_fresh(self._list_places(items, seed))
        for _, group in found:
            group.told = True
        return [name for name, _ in found]

    def _find_fresh(self, places: Iterable[DrawPlace]) -> list[tuple[str, _DrawnTogether]]:
        # Looked up once: in another thread a model may go at any time.
        found = [(place.name, twin.group) for place in places if (twin := self._find(place))]
        groups = {id(group): group for _, group in found}
        fresh = {number for number, group in groups.items() if self._is_untouched(group)}
        return [(name, group) for name, group in found if id(group) in fresh]

    def _is_untouched(self, group: _DrawnTogether) -> bool:
        """Whether none of those that live was written since: training would have."""
        living = ((known(), state) for known, state in group.items)
        return all(made is None or self._state_of(made) == state for made, state in living)

    def _find(self, place: DrawPlace) -> _Drawn | None:
        known = self._latest.get(place.key)
        made = None if known is None else known()
        if known is None or made is None:
            return None
        again = place.origin is made or place.origin is known.origin()
        return None if again or self._holds(place.origin, made) else known

    def remember(self, items: Items, seed: int, values: Mapping[str, Any] | None = None) -> None:
        """Note what was drawn, in place or as these new values by name."""
        drawn: dict[DrawKey, _Drawn] = {}
        group = _DrawnTogether([])
        for key, name, origin in self._list_places(items, seed):
            made = origin if values is None else values[name]
            known = _Drawn(made, self._forget)
            known.key, known.origin, known.group = key, ref(origin), group
            group.items.append((ref(made), self._state_of(made)))
            before = self._latest.get(key)
            group.told = group.told or (before is not None and before.group.told)
            drawn[key] = known
        self._latest.update(drawn)

    def forget_all(self) -> None:
        """As in a process that has drawn nothing."""
        self._latest.clear()

    def _list_places(self, items: Items, seed: int) -> Iterator[DrawPlace]:
        """What is drawn whole, and so that the seed decides it."""
        for slot, initializer, _ in items:
            seeded = initializer is not None and initializer.seeded
            if seeded and (origin := self._origin_of(slot)) is not None:
                yield DrawPlace((seed, slot.stream, slot.param.shape), slot.param.name, origin)

    def _forget(self, gone: Any) -> None:
        key = gone.key
        if self._latest.get(key) is gone:
            self._latest.pop(key, None)
