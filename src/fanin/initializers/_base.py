"""What an initializer is."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, SupportsIndex

from fanin._arguments import check_shape
from fanin.axes import Axes, parse_axes
from fanin.errors import FaninError
from fanin.initializers._parts import PartSlice, WeightPart, parts, pieces
from fanin.streams import Array, Distribution, DTypeLike, Index, Stream
from fanin.streams._address import Region, region, select
from fanin.streams._output import COMPLEX, REAL, check_out, dtype_name, is_complex, write

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


class DrawnPart(NamedTuple):
    """Values of one distribution: where they go in the result, and their addresses."""

    distribution: Distribution
    where: tuple[Any, ...]
    region: Region


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
        """The values of a parameter under a seed, or any slice of them.

        Args:
            shape: of the whole parameter, never a shard's.
            seed: an integer in [0, 2**64).
            name: the parameter's; a non-empty string without NUL.
            dtype: float32 (default), float64, bfloat16, float16, complex64 or complex128.
            axes: the roles of the axes in stored order, such as "kh kw in out"; None is torch's
                layout, "out in kernel ...".
            groups: of a grouped convolution.
            index: draw only `array[index]` of an array of this shape.
            out: a NumPy array of the result's shape to write into.
            threads: None means FANIN_NUM_THREADS, else the CPUs of this process.

        Returns the values, as `out` where it is given. Raises FaninError before anything is
        written.

        >>> from fanin.initializers import he_normal
        >>> whole = he_normal()((10, 256), seed=0, name="2.weight")
        >>> part = he_normal()((10, 256), seed=0, name="2.weight", index=(7, slice(3, 9)))
        >>> bool((part == whole[7, 3:9]).all())
        True
        """
        sizes = check_shape(shape)
        roles = parse_axes(axes, sizes, groups)
        return self._draw(Request(sizes, roles, seed, name, dtype, index, out, threads))

    def std(self, shape: Shape, axes: Roles = None, groups: int = 1) -> float:
        """The standard deviation of all values (after truncation) for this shape.

        `axes` and `groups` are those of a call. Of complex values z it is the root of E|z|**2.

        >>> from fanin.initializers import he_normal
        >>> he_normal().std((10, 256))
        0.08838834764831845
        """
        sizes = check_shape(shape)
        return self._std(sizes, parse_axes(axes, sizes, groups))

    def tolerance(self, dtype: str) -> float:
        """How far a value may be from itself on another machine; 0 for the same bits."""
        return 0.0

    @property
    def seeded(self) -> bool:
        """Whether the seed decides the values; False where they are computed or given."""
        return True

    def under(self, prefix: str) -> "Initializer":
        """The same with `prefix` before the names of other parameters that it draws, if any."""
        return self

    @abstractmethod
    def _draw(self, request: Request) -> Array: ...

    @abstractmethod
    def _std(self, shape: tuple[int, ...], axes: Axes) -> float: ...

    def _expression(self) -> str:
        """What makes it, in full: `repr` may shorten it."""
        return repr(self)

    def _no_complex(self, why: str = "") -> FaninError:
        return FaninError(
            f"{self!r} has no complex form{why}: allowed dtypes are {', '.join(REAL)}. The "
            "scaling family, such as he_normal(), normal(std=...) and constants are complex too."
        )


class Elementwise(Initializer):
    """Every value is drawn by itself, from the word at its address: any slice has the same bits."""

    __slots__ = ()

    def distribution(self, shape: Shape, axes: Roles = None, groups: int = 1) -> Distribution:
        """What the values are drawn from; packed blocks of unequal sizes have one each."""
        sizes = check_shape(shape)
        return self._distribution(sizes, parse_axes(axes, sizes, groups))

    @abstractmethod
    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> Distribution: ...

    def _complex(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        """What complex values are drawn from."""
        raise self._no_complex()

    def _choose_draws(
        self, shape: tuple[int, ...], axes: Axes, in_complex: bool = False
    ) -> list[tuple[WeightPart | None, Distribution]]:
        """The distributions and the parts of the weight that they are for; None means all."""
        distribution_of = self._complex if in_complex else self._distribution
        split = parts(shape, axes)
        if split is None:
            return [(None, distribution_of(shape, axes))]
        return [(part, distribution_of(part.shape, part.axes)) for part in split]

    def draws(self, request: Request) -> list[DrawnPart]:
        """What real values are drawn from, for a back end that draws by itself."""
        drawn = self._choose_draws(request.shape, request.axes)
        order = request.axes.order()
        if drawn[0][0] is None:
            return [DrawnPart(drawn[0][1], (...,), region(request.shape, request.index, order))]
        split = [part for part, _ in drawn if part is not None]
        found = pieces(split, select(request.shape, request.index))
        return [
            DrawnPart(distribution, (*piece.where, ...), _place(piece, order))
            for (_, distribution), piece in zip(drawn, found, strict=True)
            if piece is not None
        ]

    def _draw(self, request: Request) -> Array:
        in_complex = is_complex(request.dtype, request.out)
        drawn = self._choose_draws(request.shape, request.axes, in_complex)
        stream = Stream(request.seed, request.name)
        if drawn[0][0] is None:
            return stream.draw(
                drawn[0][1],
                request.shape,
                request.dtype,
                request.index,
                request.out,
                request.threads,
                request.axes.order(),
            )
        split = [part for part, _ in drawn if part is not None]
        chosen = select(request.shape, request.index)
        shape = tuple(len(item) for item in chosen if isinstance(item, range))
        encoding = dtype_name(request.dtype, request.out, COMPLEX if in_complex else REAL)
        for part, (_, distribution) in zip(split, drawn, strict=True):  # what can fail, first
            stream.draw(distribution, (0, *part.shape), encoding)
        result = check_out(request.out, shape, encoding)
        for (_, distribution), piece in zip(drawn, pieces(split, chosen), strict=True):
            if piece is not None:
                where: tuple[Any, ...] = (*piece.where, ...)
                stream.draw(
                    distribution,
                    piece.frame,
                    encoding,
                    piece.inside,
                    result[where],
                    request.threads,
                    request.axes.order(),
                    piece.start,
                )
        return result

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        drawn = self._choose_draws(shape, axes)
        if drawn[0][0] is None:
            return drawn[0][1].std_of_values()
        total = max(math.prod(shape), 1)
        weighted = [
            (math.prod(part.shape) / total, drawing) for part, drawing in drawn if part is not None
        ]
        mean = sum(share * distribution.mean_of_values() for share, distribution in weighted)
        variance = sum(
            share
            * (distribution.std_of_values() ** 2 + (distribution.mean_of_values() - mean) ** 2)
            for share, distribution in weighted
        )
        return math.sqrt(variance)


def _place(piece: PartSlice, order: tuple[int, ...] | None) -> Region:
    found = region(piece.frame, piece.inside, order)
    return found._replace(base=found.base + piece.start)


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
        if is_complex(request.dtype, request.out):
            raise self._no_complex()
        encoding = dtype_name(request.dtype, request.out)
        Stream(request.seed, request.name)  # checks both
        self._check(request.shape, request.axes)
        chosen = select(request.shape, request.index)
        shape = tuple(len(item) for item in chosen if isinstance(item, range))
        result = check_out(request.out, shape, encoding)
        if 0 in shape:
            return result
        values = self._values(request, "float64" if encoding == "float64" else "float32")
        return write(values[... if request.index is None else request.index], encoding, result)


def expression(name: str, *arguments: object, **keywords: object) -> str:
    """How an initializer prints."""
    named = (f"{key}={value!r}" for key, value in keywords.items())
    return f"{name}({', '.join((*map(repr, arguments), *named))})"
