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


class _KeyedRef(ref):  # type: ignore[type-arg]
    """A reference that knows its draw when what it refers to is gone."""

    __slots__ = ("key",)
    key: DrawKey


@dataclass
class _DrawnTogether:
    """What one call drew, each with what tells whether it was written since."""

    items: "list[tuple[ref[Any], Callable[[Any], bool]]]"
    # That it lived beside an equal one; no garbage is collected to tell it of more.
    told: bool = False

    def is_untouched(self) -> bool:
        """Whether none of those that live was written since: training would have."""
        living = ((known(), unwritten) for known, unwritten in self.items)
        return all(item is None or unwritten(item) for item, unwritten in living)


class _Drawn(NamedTuple):
    made: _KeyedRef
    origin: "ref[Any]"
    group: _DrawnTogether


class Twins:
    """The latest draw of each key, for as long as what it made lives.

    `origin_of(slot)` is where its draw goes, None where that is not the whole of it.
    `holds(origin, made)` says whether one has the values of another already, as a copy does that
    is drawn again; `watch(made)` gives what tells later whether it was written.
    """

    def __init__(
        self,
        origin_of: Callable[[Any], Any],
        holds: Callable[[Any, Any], bool],
        watch: Callable[[Any], Callable[[Any], bool]],
    ) -> None:
        self._origin_of, self._holds, self._watch = origin_of, holds, watch
        self._latest: dict[DrawKey, _Drawn] = {}

    def find(self, items: Items, seed: int) -> list[str]:
        """Parameters whose draw another model has that lives, and was not trained since.

        Less those that hold it already, as a copy does that is drawn again.
        """
        places = list(self._list_places(items, seed))
        found = self._find_fresh(places)
        if not all(group.told for _, group in found):
            gc.collect()  # a model that is gone may still be in a cycle; many need no look each
            found = self._find_fresh(places)
        for _, group in found:
            group.told = True
        return [name for name, _ in found]

    def _find_fresh(self, places: Iterable[DrawPlace]) -> list[tuple[str, _DrawnTogether]]:
        # Looked up once: in another thread a model may go at any time.
        found = [(place.name, twin.group) for place in places if (twin := self._find(place))]
        groups = {id(group): group for _, group in found}
        fresh = {number for number, group in groups.items() if group.is_untouched()}
        return [(name, group) for name, group in found if id(group) in fresh]

    def _find(self, place: DrawPlace) -> _Drawn | None:
        known = self._latest.get(place.key)
        made = None if known is None else known.made()
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
            known = _KeyedRef(made, self._forget)
            known.key = key
            group.items.append((known, self._watch(made)))
            before = self._latest.get(key)
            group.told = group.told or (before is not None and before.group.told)
            drawn[key] = _Drawn(known, ref(origin), group)
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
        known = self._latest.get(gone.key)
        if known is not None and known.made is gone:
            self._latest.pop(gone.key, None)
