"""What an initializer is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import SupportsIndex

from fanin.axes import Axes, parse_axes
from fanin.streams import Array, Distribution, DTypeLike, Index, Stream, check_shape

Shape = SupportsIndex | Sequence[SupportsIndex]
Roles = str | Axes | None


class Initializer(ABC):
    """The rule for the values of a parameter: frozen, comparable, printable.

    It prints as the expression that makes it, and `initializers.get` reads that back. Every
    value is drawn by itself, from the one word at its address.
    """

    __slots__ = ()

    @abstractmethod
    def distribution(self, shape: Shape, axes: Roles = None, groups: int = 1) -> Distribution:
        """What the values of a parameter of this shape are drawn from."""

    def __call__(
        self,
        shape: Shape,
        *,
        seed: int,
        name: str,
        dtype: DTypeLike = None,
        axes: Roles = None,
        groups: int = 1,
        index: Index | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array:
        """The values of the parameter `name` of this (global) shape under `seed`.

        `axes` gives the roles of the axes in stored order, such as "kh kw in out"; None is
        torch's layout, "out in kernel ...". The other keywords are Stream's: `index` draws
        only that slice, `out` is written into. Raises FaninError before anything is written.
        """
        sizes = check_shape(shape)
        roles = parse_axes(axes, sizes)
        drawn = self.distribution(sizes, roles, groups)
        return Stream(seed, name).draw(drawn, sizes, dtype, index, out, threads, roles.order())

    def std(self, shape: Shape, axes: Roles = None, groups: int = 1) -> float:
        """The standard deviation of the values (after truncation) for this shape."""
        return self.distribution(shape, axes, groups).std_of_values()


def expression(name: str, *arguments: object) -> str:
    """How an initializer prints."""
    return f"{name}({', '.join(map(repr, arguments))})"
