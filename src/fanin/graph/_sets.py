"""Sets of nodes, and what can be reached from one."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

_T = TypeVar("_T", bound=Hashable)


class NodeSet:
    """Positions of nodes as the bits of one integer: thousands of sets of thousands join fast."""

    __slots__ = ("_bits",)

    def __init__(self, positions: Iterable[int] = ()) -> None:
        self._bits = 0
        for position in positions:
            self._bits |= 1 << position

    def __contains__(self, position: int) -> bool:
        return bool(self._bits >> position & 1)

    def __or__(self, other: "NodeSet") -> "NodeSet":
        return _of(self._bits | other._bits)

    def __and__(self, other: "NodeSet") -> "NodeSet":
        return _of(self._bits & other._bits)

    def __sub__(self, other: "NodeSet") -> "NodeSet":
        return _of(self._bits & ~other._bits)

    def __bool__(self) -> bool:
        return bool(self._bits)

    def __len__(self) -> int:
        return self._bits.bit_count()

    def __iter__(self) -> Iterator[int]:
        bits = self._bits
        while bits:
            lowest = bits & -bits
            yield lowest.bit_length() - 1
            bits ^= lowest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NodeSet) and self._bits == other._bits

    def __hash__(self) -> int:
        return hash(self._bits)

    def __repr__(self) -> str:
        return f"NodeSet({list(self)})"


def _of(bits: int) -> NodeSet:
    made = NodeSet()
    made._bits = bits
    return made


def reach(start: Iterable[_T], step: Callable[[_T], Iterable[_T]]) -> Iterator[_T]:
    """Everything that steps lead to, each once, what it starts from first."""
    front = list(start)
    seen = set(front)
    while front:
        place = front.pop()
        yield place
        for following in step(place):
            if following not in seen:
                seen.add(following)
                front.append(following)
