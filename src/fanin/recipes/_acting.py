"""Acting: how large a parameter is where it acts, behind the functions that it goes through."""

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np

from fanin.graph import Function, Use, Values
from fanin.graph.signal import MASS, Signal, Z
from fanin.recipes._digits import round_size
from fanin.streams import Stream

_FLAT = 0.05  # a power of the size that is less: it has no effect
_ROUNDS = 8
_MOST = 20.0  # octaves in a round
_HALVES = (np.triu, lambda matrix, beyond: np.tril(matrix, -beyond))  # one that a triangle lacks
_FAILS = (  # of an operation on float64 values
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
)

Shapes = Mapping[str, tuple[int, ...]]
NOTHING_KNOWN: Mapping[str, Values] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class OutputRows:
    """Of a weight as it acts, over its outputs: mean sum of squares, squared sum, and sum."""

    squares: float
    sums: float
    total: float

    def second(self, fed: Signal) -> float:
        """The second moment of the output: a mean of the input meets the sum of a row."""
        level = fed.mean**2
        return (fed.second - level) * self.squares + level * self.sums

    def share(self, fed: Signal) -> float:
        """What positions of the output share, of its second moment."""
        level, second = fed.mean**2, self.second(fed)
        if second <= 0:
            return 0.0
        return ((fed.shared - level) * self.squares + level * self.sums) / second


class ActingWeight:
    """A weight that is drawn from N(0, std**2), with any std, and goes through a function.

    `known` are the values of other parameters in it, as of the noise that is added to a weight.
    """

    def __init__(
        self,
        function: Function,
        shapes: Shapes,
        drawn: "DrawnOnce",
        known: Mapping[str, Values] = NOTHING_KNOWN,
    ) -> None:
        self._function, self._shapes, self._once, self._known = function, shapes, drawn, known

    @cached_property
    def _drawn(self) -> dict[str, Values]:
        drawn = _draw(self._function, self._shapes, 1.0, self._once)
        return drawn | _hold_others(self._function, self._shapes, self._known)

    def rows(self, std: float, terms: float) -> OutputRows | None:
        """As it acts with this std; None if unknown."""
        same = self._function.same
        if same is None:
            return self._rows(std, terms)
        names = self._function.of
        found = map(self._known.get, names[1:])
        held = tuple(None if values is None else values.tobytes() for values in found)
        key = same, tuple(self._shapes[name] for name in names), held, std, terms
        if key not in self._once.rows:
            self._once.rows[key] = self._rows(std, terms)
        return self._once.rows[key]

    def _rows(self, std: float, terms: float) -> OutputRows | None:
        own = self._function.of[0]
        try:
            with np.errstate(all="ignore"):
                if self._function.each is not None:
                    found = _of_equal(self._function.each(std * Z), terms)
                else:
                    given = self._drawn | {own: std * self._drawn[own]}
                    found = _of_matrix(self._function.whole(given))
        except _FAILS:
            return None
        return found if math.isfinite(found.squares + found.sums) else None


def size_of(use: Use, shapes: Shapes, std: float) -> float | None:
    """The RMS with which a parameter drawn from N(0, std**2) acts; None if unknown."""
    if not use.through:
        return std
    function = use.function
    if function is None:
        return None
    try:
        with np.errstate(all="ignore"):
            if function.each is not None:
                second = float(MASS @ function.each(std * Z) ** 2)
            else:
                second = float(np.mean(function.whole(_draw(function, shapes, std)) ** 2))
    except _FAILS:
        return None
    return math.sqrt(second) if math.isfinite(second) else None


def _of_equal(values: Values, terms: float) -> OutputRows:
    """Elements that are alike and independent."""
    mean = float(MASS @ values)
    if abs(mean) < 1e-9 * float(MASS @ np.abs(values)):
        mean = 0.0
    spread = float(MASS @ (values - mean) ** 2)
    squares = terms * (spread + mean**2)
    return OutputRows(squares, terms * spread + (terms * mean) ** 2, terms * mean)


def _of_matrix(matrix: Values) -> OutputRows:
    squares = float(np.einsum("ij,ij->i", matrix, matrix).mean())  # without a copy
    totals = matrix.sum(1)
    sums = float((totals**2).mean())
    noise = 6 * math.sqrt(2 / len(matrix))  # of a mean of squares of independent normal sums
    if 1e-6 * squares < sums < (1 + noise) * squares:
        return OutputRows(squares, squares, 0.0)
    return OutputRows(squares, sums, float(totals.mean()))


class DrawnOnce:
    """Standard normal values, drawn once for all shapes: of those of a longer one, the first.

    And the rows that were made of them, by function, shapes, std and terms: layers are often alike.
    """

    def __init__(self) -> None:
        self._drawn: Values = np.empty(0)
        self.rows: dict[Hashable, OutputRows | None] = {}

    def first(self, count: int) -> Values:
        """So many of them, to be read alone."""
        if count > self._drawn.size:
            self._drawn = Stream(0, "acting").normal(count, dtype="float64")
        return self._drawn[:count]


def _draw(
    function: Function, shapes: Shapes, std: float, once: DrawnOnce | None = None
) -> dict[str, Values]:
    """Standard normal values times std for what acts, ones for other parameters."""
    own = function.of[0]
    flat = (once or DrawnOnce()).first(math.prod(shapes[own]))
    size = max(math.sqrt(float(flat @ flat) / max(flat.size, 1)), 1e-300)
    values = (flat * (std / size)).reshape(shapes[own])
    return {own: values} | _hold_others(function, shapes, NOTHING_KNOWN)


def _hold_others(
    function: Function, shapes: Shapes, known: Mapping[str, Values]
) -> dict[str, Values]:
    """The values of the parameters in a function beside its own: ones where they are not known."""
    _, *others = function.of
    given = {name: known.get(name, np.ones(())) for name in others}
    return {name: np.broadcast_to(item, shapes[name]).copy() for name, item in given.items()}


def acts_as(
    use: Use, shapes: Shapes, values: Values | float, known: Mapping[str, Values] = NOTHING_KNOWN
) -> Values | None:
    """The values with which a parameter acts that has these, or this one; None if unknown.

    `known` are those of others that it goes through; the rest of them are ones.
    """
    function = use.function
    if function is None:
        return None if use.through else np.asarray(values, float)
    own = function.of[0]
    try:
        given = {own: np.broadcast_to(np.asarray(values, float), shapes[own]).copy()}
        given |= _hold_others(function, shapes, known)
        with np.errstate(all="ignore"):
            made = function.whole(given)
    except _FAILS:
        return None
    return made if made.size and np.isfinite(made).all() else None


def line(use: Use, shapes: Shapes) -> tuple[float, float] | None:
    """Slope and offset of a function that is a line of every element; None of another one."""
    found = [acts_as(use, shapes, value) for value in (0.0, 1.0, 2.0, -3.0)]
    if any(item is None for item in found):
        return None
    zero, unit, two, other = (float(each.mean()) for each in found if each is not None)
    alike = all(float(np.ptp(each)) == 0 for each in found if each is not None)
    slope = unit - zero
    straight = math.isclose(two, zero + 2 * slope, abs_tol=1e-9 * abs(slope))
    straight &= math.isclose(other, zero - 3 * slope, abs_tol=1e-9 * abs(slope))
    return (slope, zero) if alike and straight and slope else None


def invert_line(use: Use, shapes: Shapes, value: float) -> float:
    """What a parameter holds that is to act as a value, where its function is a line."""
    slope, offset = line(use, shapes) or (1.0, 0.0)
    return round_size((value - offset) / slope)


def only_sizes(use: Use, shapes: Shapes) -> bool:
    """Whether a function leaves random values random: it scales, moves or normalizes them.

    So does a divisor that was computed of them, as a spectral norm is, of which nothing is known.
    """
    function = use.function
    if function is None:
        return set(use.through) <= {"div"}
    try:
        with np.errstate(all="ignore"):
            drawn = _draw(function, shapes, 1.0)
            own = function.of[0]
            made = [function.whole(drawn | {own: k * drawn[own]}) for k in (0.0, 1.0, 2.0, -1.0)]
    except _FAILS:
        return False
    up, more, down = (item - made[0] for item in made[1:])
    size = float(np.abs(up).max(initial=0.0))
    if not math.isfinite(size) or not size:
        return False
    near = 1e-3 * size  # normalizations add an epsilon
    odd = bool((np.abs(up + down) < near).all())
    return odd and any(bool((np.abs(more - power * up) < near).all()) for power in (2, 1))


def stays_invertible(use: Use, shapes: Shapes) -> bool:
    """Whether a weight acts as a triangle whose diagonal has the same signs whatever it holds.

    As tril(w, -1) + I does, a factor of a map that is to be inverted.
    """
    function = use.function
    if function is None or not _may_be_square(shapes[function.of[0]]):
        return False
    try:
        with np.errstate(all="ignore"):
            drawn = _draw(function, shapes, 1.0)
            own = function.of[0]
            at_zero = function.whole(drawn | {own: 0 * drawn[own]})
            if at_zero.ndim != 2 or len(set(at_zero.shape)) > 1 or not np.diagonal(at_zero).all():
                return False
            made = [function.whole(drawn | {own: k * drawn[own]}) for k in (1.0, -1.0, 4.0)]
    except _FAILS:
        return False
    signs = [np.sign(np.diagonal(item)) for item in (at_zero, *made)]
    if any((item != signs[0]).any() for item in signs) or np.ptp(made[0] - at_zero) == 0:
        return False
    return any(
        all(_is_nothing(half(item, 1), item) for item in (at_zero, *made)) for half in _HALVES
    )


def _may_be_square(shape: tuple[int, ...]) -> bool:
    """Whether a parameter may hold the entries of a square matrix, in a row or not, or of several.

    Most do not, and are not drawn to find that out.
    """
    sizes = [size for size in shape if size > 1]
    return len(sizes) < 2 or (len(sizes) < 4 and sizes[-1] == sizes[-2])


def _is_nothing(part: Values, whole: Values) -> bool:
    """Whether a part of an array is rounding, as of an inverse."""
    return bool(np.abs(part).max() <= 1e-9 * np.abs(whole).max())


def level_volume(triangle: Values) -> Values:
    """A multiple of the identity with a triangle's determinant, up to its sign.

    What is left of it once the others are multiplied in: the triangles of a rotation make up for
    what each does beside its diagonal.
    """
    size = math.exp(float(np.log(np.abs(np.diagonal(triangle))).mean()))
    return np.asarray(size * np.eye(len(triangle)))


def power_of(measured: Callable[[float], float | None], std: float) -> float:
    """The power of the std with which something grows here; 0 where it hardly does, or unknown."""
    value, more = measured(std), measured(2 * std)
    if value is None or more is None or min(value, more) <= 0:
        return 0.0
    power = math.log2(more) - math.log2(value)
    return 0.0 if abs(power) < _FLAT else power


def fit_std(measured: Callable[[float], float | None], wanted: float, start: float) -> float | None:
    """The std at which something is as large as wanted; None where no std has it so."""
    std, value = start, measured(start)
    for _ in range(_ROUNDS):
        if value is None or value <= 0:
            return None
        if math.isclose(value, wanted, rel_tol=1e-9):
            return std
        power = power_of(measured, std)
        if not power:
            return None
        octaves = (math.log2(wanted) - math.log2(value)) / power
        std *= 2 ** min(max(octaves, -_MOST), _MOST)
        value = measured(std)
    return std if value is not None and math.isclose(value, wanted, rel_tol=0.01) else None
