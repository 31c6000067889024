"""Stream: values as a pure function of seed, name and index."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import SupportsIndex

import numpy as np

from fanin._arguments import check_seed, check_shape
from fanin.errors import FaninError, quote
from fanin.streams._address import Index, region, stream_number
from fanin.streams._backends import check_threads, current_fill
from fanin.streams._distributions import Constant, Distribution, Normal, TruncatedNormal, Uniform
from fanin.streams._inversion import HostDrawn, StreamPlace
from fanin.streams._output import (
    COMPLEX,
    REAL,
    Array,
    DTypeLike,
    check_out,
    constants_of,
    dtype_name,
    encode,
    new_array,
    raw,
)
from fanin.streams._philox import Words

Shape = SupportsIndex | Sequence[SupportsIndex]


@dataclass(frozen=True, slots=True)
class Stream:
    """The random numbers that belong to one parameter name under one seed.

    A value depends on nothing but seed, name and its row-major index: any slice can be drawn
    alone, in any order, with any number of threads, on any CPU, and the bits are the same.
    Drawing again gives the same values again.

    Args:
        seed: an integer in [0, 2**64).
        name: a non-empty string without NUL.
        version: of the stream, of which 1 is the only one.

    The 16-bit values are the float32 ones rounded to nearest even; float64 refines the float32
    draw's cell. `out` may be strided as you like; uint16 takes the bits of a 16-bit dtype that
    is named. Bad input raises FaninError before anything is written.

    >>> from fanin import Stream
    >>> whole = Stream(seed=0, name="layer.weight").normal((4, 6))
    >>> part = Stream(seed=0, name="layer.weight").normal((4, 6), index=(2, slice(3, 5)))
    >>> bool((part == whole[2, 3:5]).all())
    True
    """

    seed: int
    name: str
    version: int = 1
    _number: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", check_seed(self.seed))
        if type(self.version) is not int or self.version != 1:
            raise FaninError(
                f"stream version is {quote(self.version)}; this fanin knows version 1."
            )
        object.__setattr__(self, "_number", stream_number(self.name))

    def _numbers(self, encoding: str) -> tuple[int, int]:
        """The numbers of this stream and of its child `low`, which only float64 draws need."""
        return self._number, stream_number(self.name, "low") if encoding == "float64" else 0

    def words(self, n: SupportsIndex, start: int = 0, *, threads: int | None = None) -> Words:
        """The 32-bit words that values are made from.

        Args:
            n: how many.
            start: the address of the first, in [0, 2**64 - n].
            threads: None means FANIN_NUM_THREADS, else the CPUs of this process.

        Returns them as uint32 of shape (n,). Raises FaninError for addresses that do not exist.

        >>> Stream(0, "layer.weight").words(3)
        array([ 433436129, 1326488032,  964330875], dtype=uint32)
        """
        (count,) = check_shape((n,))
        try:
            start = operator.index(start)
        except TypeError:
            raise FaninError(
                f"start is {quote(start)}; it must be an integer in [0, 2**64)."
            ) from None
        if not 0 <= start <= 2**64 - count:
            raise FaninError(f"start is {start} for {count} words; addresses are in [0, 2**64).")
        out = new_array((count,), np.dtype(np.uint32))
        numbers = self._numbers("uint32")
        threads = check_threads(threads, count)
        current_fill()(out, "uint32", start % 2**64, None, self.seed, numbers, "words", (), threads)
        return out

    def uniform(
        self,
        shape: Shape,
        low: float = 0.0,
        high: float = 1.0,
        *,
        dtype: DTypeLike = None,
        index: Index | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array:
        """Uniform on the open interval (low, high); std = (high - low) / sqrt(12).

        2**24 equidistant values in float32, 2**53 in float64. A bfloat16 or float16 result
        may round onto a bound.

        Args:
            shape: of the whole array, of which `index` draws a part.
            low: the lower bound.
            high: the upper bound, above `low`.
            dtype: float32 (default), float64, bfloat16 or float16.
            index: draw only `array[index]` of an array of this shape (integers, slices, `...`).
            out: a NumPy array of the result's shape to write into.
            threads: None means FANIN_NUM_THREADS, else the CPUs of this process.

        Returns the values, as `out` where it is given. Raises FaninError before anything is
        written.

        >>> Stream(0, "layer.weight").uniform(3, -1.0, 1.0)
        array([-0.7981656 , -0.38230592, -0.55094844], dtype=float32)
        """
        return self.draw(Uniform(low, high), shape, dtype, index, out, threads)

    def normal(
        self,
        shape: Shape,
        mean: float = 0.0,
        std: float = 1.0,
        *,
        dtype: DTypeLike = None,
        index: Index | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array:
        """Normal with this mean and standard deviation, by inversion.

        One word makes one value: |z| < 6.4 in float32; the values are antisymmetric about
        the mean in the words.

        Args:
            shape: of the whole array, of which `index` draws a part.
            mean: of the distribution.
            std: its standard deviation, 0 or more.
            dtype: float32 (default), float64, bfloat16 or float16.
            index: draw only `array[index]` of an array of this shape (integers, slices, `...`).
            out: a NumPy array of the result's shape to write into.
            threads: None means FANIN_NUM_THREADS, else the CPUs of this process.

        Returns the values, as `out` where it is given. Raises FaninError before anything is
        written.

        >>> Stream(0, "layer.weight").normal(3, std=0.02)
        array([-0.02552685, -0.00998242, -0.01513994], dtype=float32)
        """
        return self.draw(Normal(mean, std), shape, dtype, index, out, threads)

    def truncated_normal(
        self,
        shape: Shape,
        mean: float = 0.0,
        std: float = 1.0,
        lower: float = -2.0,
        upper: float = 2.0,
        *,
        dtype: DTypeLike = None,
        index: Index | None = None,
        out: Array | None = None,
        threads: int | None = None,
    ) -> Array:
        """Normal cut to [mean + std * lower, mean + std * upper], by inversion.

        `std` is the standard deviation *before* the truncation, the bounds count in units of
        it around the mean (as in JAX, Keras and SciPy; torch's bounds are absolute). The
        nearer bound lies at most 12.5 std from the mean.

        Args:
            shape: of the whole array, of which `index` draws a part.
            mean: of the normal distribution before the truncation.
            std: its standard deviation.
            lower: the lower bound, in units of `std` from `mean`.
            upper: the upper bound.
            dtype: float32 (default), float64, bfloat16 or float16.
            index: draw only `array[index]` of an array of this shape (integers, slices, `...`).
            out: a NumPy array of the result's shape to write into.
            threads: None means FANIN_NUM_THREADS, else the CPUs of this process.

        Returns the values, as `out` where it is given. Raises FaninError before anything is
        written.

        >>> Stream(0, "layer.weight").truncated_normal(3, std=0.02)
        array([-0.02359241, -0.00949152, -0.01431584], dtype=float32)
        """
        cut = TruncatedNormal(mean, std, lower, upper)
        return self.draw(cut, shape, dtype, index, out, threads)

    def draw(
        self,
        distribution: Distribution,
        shape: Shape,
        dtype: DTypeLike = None,
        index: Index | None = None,
        out: Array | None = None,
        threads: int | None = None,
        order: Sequence[int] | None = None,
        start: int = 0,
    ) -> Array:
        """Values of a distribution; what the methods above and the initializers call.

        Args:
            distribution: one of `fanin.streams`, such as Uniform(low, high) or Laplace(0.0, 1.0).
            shape: of the whole array, of which `index` draws a part.
            dtype: float32 (default), float64, bfloat16 or float16; complex64 and complex128 for
                complex distributions.
            index: draw only `array[index]` of an array of this shape (integers, slices, `...`).
            out: a NumPy array of the result's shape to write into.
            threads: None means FANIN_NUM_THREADS, else the CPUs of this process.
            order: the axes of `shape` from the slowest to the fastest of the canonical order that
                the indices count in; None means as stored.
            start: the index of the first element, where the shape is that of a part.

        Returns the values, as `out` where it is given. Raises FaninError before anything is
        written.

        >>> from fanin.streams import Laplace
        >>> Stream(0, "layer.weight").draw(Laplace(0.0, 1.0), 3)
        array([-1.6003076, -0.4817619, -0.8006176], dtype=float32)
        """
        if isinstance(distribution, type) or not hasattr(distribution, "constants"):
            raise FaninError(
                f"distribution is {quote(distribution)}; give one of fanin.streams, such as "
                "Uniform(-1.0, 1.0)."
            )
        host = distribution if isinstance(distribution, HostDrawn) else None
        constant = isinstance(distribution, Constant)
        allowed = host.dtypes if host else REAL + COMPLEX if constant else REAL
        encoding = dtype_name(dtype, out, allowed)
        part = region(check_shape(shape), index, order)
        constants = constants_of(distribution, encoding)
        result = check_out(out, part.shape, encoding)
        threads = check_threads(threads, result.size)
        if constant:
            raw(result)[...] = encode(np.array(constants), encoding)
            return result
        if host:
            place = StreamPlace(self.seed, self.name, start + part.base, part.steps)
            host.fill(raw(result), encoding, place)
            return result
        current_fill()(
            raw(result),
            encoding,
            start + part.base,
            part.steps,
            self.seed,
            self._numbers(encoding),
            distribution.kind,
            constants,
            threads,
        )
        return result
