"""What an initializer is."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsIndex

from fanin.axes import Axes, parse_axes
from fanin.initializers._parts import parts, pieces
from fanin.streams import (
    Array,
    Distribution,
    DTypeLike,
    Index,
    Stream,
    check_out,
    check_shape,
    dtype_name,
    selected,
    write,
)

Shape = SupportsIndex | Sequence[SupportsIndex]
Roles = str | Axes | None


@dataclass(frozen=True, slots=True)
class Request:
    """One call of an initializer, its shape and axes checked."""

    shape: tuple[int, ...]
    axes: Axes
    seed: int
    name: str
    dtype: DTypeLike
    index: Index | None
    out: Array | None
    threads: int | None


class Initializer(ABC):
    """The rule for the values of a parameter: frozen, comparable, printable.

    It prints as the expression that makes it, and `initializers.get` reads that back.
    """

    __slots__ = ()

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
        roles = parse_axes(axes, sizes, groups)
        return self._draw(Request(sizes, roles, seed, name, dtype, index, out, threads))

    def std(self, shape: Shape, axes: Roles = None, groups: int = 1) -> float:
        """The standard deviation of the values (after truncation) for this shape."""
        sizes = check_shape(shape)
        return self._std(sizes, parse_axes(axes, sizes, groups))

    @abstractmethod
    def _draw(self, request: Request) -> Array: ...

    @abstractmethod
    def _std(self, shape: tuple[int, ...], axes: Axes) -> float: ...


class Elementwise(Initializer):
    """Every value is drawn by itself, from the word at its address: any slice has the same bits."""

    __slots__ = ()

    def distribution(self, shape: Shape, axes: Roles = None, groups: int = 1) -> Distribution:
        """What the values are drawn from; packed blocks of unequal sizes have one each."""
        sizes = check_shape(shape)
        return self._distribution(sizes, parse_axes(axes, sizes, groups))

    @abstractmethod
    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> Distribution: ...

    def _draw(self, request: Request) -> Array:
        split = parts(request.shape, request.axes)
        stream = Stream(request.seed, request.name)
        if split is None:
            return stream.draw(
                self._distribution(request.shape, request.axes),
                request.shape,
                request.dtype,
                request.index,
                request.out,
                request.threads,
                request.axes.order(),
            )
        chosen = selected(request.shape, request.index)
        shape = tuple(len(item) for item in chosen if isinstance(item, range))
        drawn = [self._distribution(part.shape, part.axes) for part in split]
        encoding = dtype_name(request.dtype, request.out)
        for distribution, part in zip(drawn, split, strict=True):  # what can fail, before writing
            stream.draw(distribution, (0, *part.shape), encoding)
        result = check_out(request.out, shape, encoding)
        for distribution, piece in zip(drawn, pieces(split, chosen), strict=True):
            if piece is not None:
                stream.draw(
                    distribution,
                    piece.frame,
                    encoding,
                    piece.inside,
                    result[piece.where],
                    request.threads,
                    request.axes.order(),
                    piece.start,
                )
        return result

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        split = parts(shape, axes)
        if split is None:
            return self._distribution(shape, axes).std_of_values()
        total = sum(
            math.prod(part.shape) * self._distribution(part.shape, part.axes).std_of_values() ** 2
            for part in split
        )
        return math.sqrt(total / max(math.prod(shape), 1))


class Whole(Initializer):
    """The values depend on each other: the tensor is made whole, and slices are cut from it."""

    __slots__ = ()

    @abstractmethod
    def _values(self, request: Request, precision: str) -> Array:
        """All values in stored order, as "float32" or "float64"."""

    @abstractmethod
    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        """Raise FaninError for a shape that this initializer has no values for."""

    def _draw(self, request: Request) -> Array:
        encoding = dtype_name(request.dtype, request.out)
        Stream(request.seed, request.name)  # checks both
        self._check(request.shape, request.axes)
        chosen = selected(request.shape, request.index)
        shape = tuple(len(item) for item in chosen if isinstance(item, range))
        result = check_out(request.out, shape, encoding)
        if 0 in shape:
            return result
        values = self._values(request, "float64" if encoding == "float64" else "float32")
        return write(values[... if request.index is None else request.index], encoding, result)


def expression(name: str, *arguments: object) -> str:
    """How an initializer prints."""
    return f"{name}({', '.join(map(repr, arguments))})"
