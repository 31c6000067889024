"""How cells are chosen: a sample in which every pair of levels is seen, and halves by a hash."""

import functools
import hashlib
import itertools
import operator
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, replace
from typing import Any, Protocol, TypeVar

from fanin import Stream

HALVES = ("calibration", "report")
STARTS_EACH = 3  # cells of one shape
CANDIDATES = 30
UNSEEN = 20  # what a pair that no cell has yet is worth; one that was seen is worth 1 or less

Levels = Mapping[str, tuple[Any, ...]]  # of every factor; the last one is "start"


class _Cell(Protocol):
    """A dataclass whose fields are the factors, in their order."""

    @property
    def name(self) -> str: ...


Cell = TypeVar("Cell", bound=_Cell)


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def half_of(name: str) -> str:
    """`calibration` or `report`, by a hash of the name."""
    return HALVES[digest(name)[-1] & 1]


def pairs_of(cell: Any, levels: Levels) -> Iterator[tuple[Any, ...]]:
    """Every two levels that the cell has together, each with the name of its factor."""
    return itertools.combinations(zip(levels, astuple(cell), strict=True), 2)


def cover(
    make: Callable[..., Cell], levels: Levels, name: str, shapes: int, fits: Callable[[Cell], bool]
) -> list[Cell]:
    """Shape by shape: of random candidates, the one whose pairs of levels were seen least.

    Then the starts of that shape, likewise. `name` is that of the stream that draws candidates.
    """
    seen: Counter[tuple[Any, ...]] = Counter()
    chosen: dict[str, Cell] = {}
    words = Stream(0, name).words(shapes * CANDIDATES * len(levels))

    def worth(cell: Cell) -> float:
        times = [seen[pair] for pair in pairs_of(cell, levels)]
        # One after the other: from Python 3.12 on, `sum` rounds otherwise, and ties break so.
        return functools.reduce(operator.add, (1 / count if count else UNSEEN for count in times))

    def cell_of(picks: list[int]) -> Cell:
        """The levels that one word each picks."""
        choices = zip(picks, levels.values(), strict=True)
        return make(*(offered[pick % len(offered)] for pick, offered in choices))

    for draws in words.reshape(shapes, CANDIDATES, len(levels)).tolist():
        shape = max(filter(fits, map(cell_of, draws)), key=worth)
        for _ in range(STARTS_EACH):
            offered = [replace(shape, start=start) for start in levels["start"]]  # type: ignore[type-var]
            offered.sort(key=lambda cell: digest(cell.name))  # so that equals take turns
            best = max((cell for cell in offered if cell.name not in chosen), key=worth)
            chosen[best.name] = best
            seen.update(pairs_of(best, levels))
    return list(chosen.values())
