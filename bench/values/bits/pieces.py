"""What is drawn twice: a part of a tensor, of any shape and slice, by chance."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from fanin import Stream
from fanin.streams import Array, Distribution, Normal, TruncatedNormal, Uniform

Ranges = tuple[range, ...]
CARRY = 2**34  # the address at which the low half of the block number carries into the high one


@dataclass(frozen=True)
class Piece:
    """The values of a stream at `ranges`, one for each axis, of a tensor of this shape."""

    stream: Stream
    distribution: Distribution
    dtype: str
    shape: tuple[int, ...]
    ranges: Ranges

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(map(len, self.ranges))

    def draw(self, ranges: Ranges, out: Array, threads: int = 1) -> None:
        """Write the values at these ranges of the tensor."""
        self.stream.draw(self.distribution, self.shape, self.dtype, to_index(ranges), out, threads)

    def address(self, place: int) -> int:
        """The row-major index in the tensor of the piece's value number `place`."""
        address, stride = 0, 1
        for size, chosen in zip(reversed(self.shape), reversed(self.ranges), strict=True):
            place, at = divmod(place, len(chosen))
            address += chosen[at] * stride
            stride *= size
        return address


def to_index(ranges: Ranges) -> tuple[slice, ...]:
    """Ranges as slices; one that falls past zero ends nowhere."""
    return tuple(
        slice(part.start, part.stop if part.stop >= 0 else None, part.step) for part in ranges
    )


def _normal(random: Random) -> Normal:
    return Normal(random.uniform(-3, 3), 10 ** random.uniform(-4, 1))


def _truncated_normal(random: Random) -> TruncatedNormal:
    lower = random.uniform(-6, 2)
    mean, std = random.uniform(-3, 3), 10 ** random.uniform(-4, 1)
    return TruncatedNormal(mean, std, lower, lower + random.uniform(0.5, 6))


def _uniform(random: Random) -> Uniform:
    low = random.uniform(-3, 3)
    return Uniform(low, low + 10 ** random.uniform(-4, 1))


# The plain distribution, which half of the pieces have, and one by chance.
KINDS: dict[str, tuple[Distribution, Callable[[Random], Distribution]]] = {
    "uniform": (Uniform(-1.0, 1.0), _uniform),
    "normal": (Normal(0.0, 1.0), _normal),
    "truncated_normal": (TruncatedNormal(0.0, 1.0, -2.0, 2.0), _truncated_normal),
}
DTYPES = ("float32", "float64", "bfloat16", "float16")


def make_piece(
    random: Random, kind: str, dtype: str, totals: tuple[int, int], most: int, least_axes: int
) -> Piece:
    """A piece of `most` values or fewer, of a tensor that has a number of values within `totals`.

    Half of the pieces are straight: of one axis where that is allowed, else of whole steps.
    """
    stream = Stream(random.getrandbits(64), f"layers.{random.getrandbits(32)}.weight")
    plain, by_chance = KINDS[kind]
    distribution = plain if random.random() < 0.5 else by_chance(random)
    axes = least_axes if random.random() < 0.5 else random.randint(least_axes, 4)
    total = _log_uniform(random, *totals)
    shape = _factors(random, total, axes)
    size = random.randint(most // 2, most)
    if axes == 1 and shape[0] > 2 * CARRY and random.random() < 0.5:
        start = random.randrange(1, shape[0] // CARRY) * CARRY - random.randrange(size)
        return Piece(stream, distribution, dtype, shape, (range(start, start + size),))
    return Piece(stream, distribution, dtype, shape, _ranges(random, shape, size))


def _log_uniform(random: Random, low: int, high: int) -> int:
    return round(math.exp(random.uniform(math.log(low), math.log(high))))


def _factors(random: Random, total: int, axes: int) -> tuple[int, ...]:
    """A shape of about `total` values."""
    shape = []
    for left in range(axes, 1, -1):
        shape.append(_log_uniform(random, 1, round(total ** (2 / left)) if left > 2 else total))
        total = max(1, total // shape[-1])
    return (*shape, total)


def _ranges(random: Random, shape: tuple[int, ...], size: int) -> Ranges:
    """About `size` places; one axis in five has a step."""
    ranges = []
    for size_of_axis in reversed(shape):
        count = min(size_of_axis, size)
        size //= count
        step = random.choice((2, 3)) if random.random() < 0.2 else 1
        if count * step > size_of_axis:
            step = 1
        first = random.randint(0, size_of_axis - count * step)
        chosen = range(first, first + count * step, step)
        ranges.append(chosen[::-1] if random.random() < 0.1 else chosen)
    return tuple(reversed(ranges))
