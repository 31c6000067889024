"""Factorization: a weight as scales of its outputs times the rest, the two drawn as one weight."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fanin._arguments import check_number
from fanin.axes import Axes
from fanin.errors import FaninError, as_number, quote
from fanin.initializers._base import Elementwise, Request, Whole, expression
from fanin.initializers._blocks import Blocks
from fanin.initializers._entry import Entry
from fanin.initializers._maps import check_maps
from fanin.initializers._parts import cells, from_cells, to_cells
from fanin.streams import Array, Stream
from fanin.streams._address import stream_number
from fanin.streams._elementary import exp

_LARGEST = 50.0  # of exponents: exp of what is drawn stays far within float32


def _check(who: str, mean: object, std: object) -> tuple[float, float]:
    number = as_number(mean)
    if not -_LARGEST <= number <= _LARGEST:
        raise FaninError(
            f"mean of {who} is {quote(mean)}; it is of a logarithm, from {-_LARGEST:g} to "
            f"{_LARGEST:g}."
        )
    spread = as_number(std)
    if spread != 0:
        check_number(f"std of {who}", std, 0, 5)
    return number, spread


def _draw(stream: Stream, shape: Sequence[int], mean: float, std: float) -> Array:
    return exp(stream.normal(shape, mean, std, dtype="float64"))


@dataclass(frozen=True, slots=True, repr=False)
class LogNormal(Whole):
    """See `log_normal`."""

    mean: float
    spread: float

    def __post_init__(self) -> None:
        for name, value in zip(
            ("mean", "spread"), _check("log_normal", self.mean, self.spread), strict=True
        ):
            object.__setattr__(self, name, value)

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        """Any shape will do."""

    def _values(self, request: Request, precision: str) -> Array:
        drawn = _draw(Stream(request.seed, request.name), request.shape, self.mean, self.spread)
        return drawn.astype(precision)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        variance = self.spread**2
        return math.exp(self.mean + variance / 2) * math.sqrt(math.expm1(variance))

    def __repr__(self) -> str:
        return expression("log_normal", self.mean, self.spread)


@dataclass(frozen=True, slots=True, repr=False)
class WeightFactorization(Whole):
    """See `weight_factorization`."""

    initializer: Elementwise
    by: str
    mean: float
    spread: float

    def __post_init__(self) -> None:
        if not isinstance(self.initializer, Elementwise) or isinstance(self.initializer, Blocks):
            raise FaninError(
                f"weight_factorization has {quote(self.initializer)}; it takes an initializer that "
                "draws each value by itself and alike, such as glorot_normal()."
            )
        stream_number(self.by)
        for name, value in zip(
            ("mean", "spread"), _check("weight_factorization", self.mean, self.spread), strict=True
        ):
            object.__setattr__(self, name, value)

    def under(self, prefix: str) -> "WeightFactorization":
        """The same with `prefix` before the name of the scales."""
        return replace(self, by=f"{prefix}.{self.by}") if prefix else self

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        check_maps("weight_factorization", shape, axes)
        if axes.groups > 1 or axes.blocks or "stack" in axes.roles:
            raise FaninError(
                f"shape {shape} holds several maps, and weight_factorization divides one by its "
                f"scales. Use {self.initializer!r} for it."
            )

    def _values(self, request: Request, precision: str) -> Array:
        whole = replace(request, dtype="float64", index=None, out=None)
        weight = to_cells(self.initializer._draw(whole), request.axes)
        outputs = cells(request.shape, request.axes)[2]
        scales = _draw(Stream(request.seed, self.by), (outputs,), self.mean, self.spread)
        values = weight / scales[:, None, None]
        return from_cells(values, request.shape, request.axes).astype(precision)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape, axes)
        drawn = self.initializer.distribution(shape, axes)
        mean, variance = drawn.mean_of_values(), self.spread**2
        square = (mean**2 + drawn.std_of_values() ** 2) * math.exp(-2 * self.mean + 2 * variance)
        return math.sqrt(square - (mean * math.exp(-self.mean + variance / 2)) ** 2)

    def __repr__(self) -> str:
        return expression("weight_factorization", self.initializer, self.by, self.mean, self.spread)


def log_normal(mean: float = 0.0, std: float = 1.0) -> LogNormal:
    """Exponentials of normal values: scales that are never zero or negative.

    Formula: w = exp(z), z ~ N(mean, std**2). Reads: no axes. Preserves: the sign of what it
    multiplies.
    Units: `mean` and `std` are of the logarithm; std = exp(mean + std**2 / 2) *
    sqrt(exp(std**2) - 1).
    Source: Wang et al. 2022, section 4 (random weight factorization).
    Differs: torch's Tensor.log_normal_ is this; JAX and Keras have no such initializer.

    >>> log_normal(1.0, 0.0)((2,), seed=0, name="g")
    array([2.7182817, 2.7182817], dtype=float32)
    """
    return LogNormal(mean, std)


def weight_factorization(
    initializer: Elementwise, by: str, mean: float = 1.0, std: float = 0.1
) -> WeightFactorization:
    """A weight divided by scales of its outputs, which another parameter holds.

    Formula: V = W / s for every output, W what `initializer` draws for this parameter, s what
    log_normal(mean, std) draws for the parameter `by`: so s V is W.
    Reads: out, and what the initializer reads. Preserves: what the initializer preserves, where
    the model multiplies the two.
    Units: `mean` and `std` are of log s; std = std of W * exp(-mean + std**2) for means of zero.
    Source: Wang et al. 2022 (arXiv 2210.01274), section 4, equation for W = diag(s) V.
    Differs: torch, JAX and Keras have no such initializer.

    >>> from fanin.initializers import lecun_normal
    >>> v = weight_factorization(lecun_normal(), "g")((3, 5), seed=0, name="v")
    >>> s = log_normal(1.0, 0.1)((3,), seed=0, name="g")
    >>> bool(abs(s[:, None] * v - lecun_normal()((3, 5), seed=0, name="v")).max() < 1e-6)
    True
    """
    return WeightFactorization(initializer, by, mean, std)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "log_normal",
        log_normal,
        "none",
        "the sign of what it multiplies",
        "Wang et al. 2022, section 4",
        "log_normal(1.0, 0.1)",
        (60_000,),
        "exp(N(mean, std**2))",
    ),
    Entry(
        "weight_factorization",
        weight_factorization,
        "out, and what the initializer reads",
        "what the initializer preserves",
        "Wang et al. 2022, section 4",
        "weight_factorization(glorot_normal(), 'g', 0.5, 0.1)",
        formula="W / s, s that of the parameter `by`, exp(N(mean, std**2))",
    ),
)
