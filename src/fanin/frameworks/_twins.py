"""Twins: what the same seed, name and shape made equal of two models that live in this process."""

import gc
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple
from weakref import ref

# Seed, name of the stream, shape: all that decides a draw.
DrawKey = tuple[int, str, tuple[int, ...]]


class DrawPlace(NamedTuple):
    """Where a draw goes: a parameter's name, and the object that tells one model from another.

    That is the tensor or variable that is written, or the array that a new one is made for.
    """

    key: DrawKey
    name: str
    origin: Any


class _DrawnTogether(NamedTuple):
    """What one call drew, each with what tells whether it was written since."""

    items: "tuple[tuple[ref[Any], Callable[[Any], bool]], ...]"

    def is_untouched(self) -> bool:
        """Whether none of those that live was written since: training would have."""
        living = ((known(), unwritten) for known, unwritten in self.items)
        return all(item is None or unwritten(item) for item, unwritten in living)


class _Drawn(NamedTuple):
    made: "ref[Any]"
    origin: "ref[Any]"
    group: _DrawnTogether


class Twins:
    """The latest draw of each key, for as long as what it made lives.

    `holds(origin, made)` says whether one has the values of another already, as a copy does that
    is drawn again; `watch(made)` gives what tells later whether it was written.
    """

    def __init__(
        self,
        holds: Callable[[Any, Any], bool],
        watch: Callable[[Any], Callable[[Any], bool]],
    ) -> None:
        self._holds, self._watch = holds, watch
        self._latest: dict[DrawKey, _Drawn] = {}

    def find(self, places: Iterable[DrawPlace]) -> list[str]:
        """Parameters whose draw another model has that lives, and was not trained since."""
        found = [place for place in places if self._find(place)]
        if not found:
            return []
        gc.collect()  # a model that is gone may still be in a cycle
        # Looked up once: in another thread a model may go at any time.
        left = [(place.name, twin.group) for place in found if (twin := self._find(place))]
        groups = {id(group): group for _, group in left}
        fresh = {number for number, group in groups.items() if group.is_untouched()}
        return [name for name, group in left if id(group) in fresh]

    def _find(self, place: DrawPlace) -> _Drawn | None:
        known = self._latest.get(place.key)
        made = None if known is None else known.made()
        if known is None or made is None:
            return None
        again = place.origin is made or place.origin is known.origin()
        return None if again or self._holds(place.origin, made) else known

    def remember(self, pairs: Iterable[tuple[DrawPlace, Any]]) -> None:
        """Note what was made for each place."""
        drawn = [
            (place, ref(made, partial(self._forget, place.key)), self._watch(made))
            for place, made in pairs
        ]
        group = _DrawnTogether(tuple((known, unwritten) for _, known, unwritten in drawn))
        self._latest.update(
            (place.key, _Drawn(known, ref(place.origin), group)) for place, known, _ in drawn
        )

    def _forget(self, key: DrawKey, gone: "ref[Any]") -> None:
        known = self._latest.get(key)
        if known is not None and known.made is gone:
            self._latest.pop(key, None)
