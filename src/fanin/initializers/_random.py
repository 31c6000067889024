"""Initializers with a distribution of fixed parameters, whatever the shape."""

from dataclasses import astuple, dataclass

from fanin.axes import Axes
from fanin.initializers._base import Elementwise, expression
from fanin.initializers._entry import Entry
from fanin.streams import (
    ComplexNormal,
    Distribution,
    Laplace,
    Normal,
    Signs,
    TruncatedNormal,
    Uniform,
)


@dataclass(frozen=True, slots=True, repr=False)
class Random(Elementwise):
    """Values of one distribution for every shape; no axis roles are read."""

    drawn: Uniform | Normal | TruncatedNormal | Laplace | Signs

    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        return self.drawn

    def _complex(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        if not isinstance(self.drawn, Normal):
            raise self._no_complex()
        if self.drawn.mean != 0:
            raise self._no_complex(", because its mean is not 0")
        return ComplexNormal(self.drawn.std)

    def __repr__(self) -> str:
        return expression(self.drawn.kind, *astuple(self.drawn))


def uniform(low: float, high: float) -> Random:
    """Uniform on the open interval (low, high).

    Formula: w ~ U(low, high). Reads: no axes. Preserves: nothing by itself.
    Units: std = (high - low) / sqrt(12).
    Source: folklore.
    Differs: torch's and Keras's intervals are half-open; JAX's `scale` is `high` with low = 0.

    >>> uniform(-0.5, 0.5).std((3,))
    0.2886751345948129
    """
    return Random(Uniform(low, high))


def normal(mean: float = 0.0, std: float = 1.0) -> Random:
    """Normal with this mean and standard deviation.

    Formula: w ~ N(mean, std**2). Reads: no axes. Preserves: nothing by itself.
    Units: `std` is the standard deviation; complex values (mean 0) have E|z|**2 = std**2.
    Source: folklore.
    Differs: JAX's `stddev` defaults to 0.01, Keras's to 0.05, torch's `std` to 1.

    >>> normal(std=0.02)
    normal(0.0, 0.02)
    """
    return Random(Normal(mean, std))


def truncated_normal(
    mean: float = 0.0, std: float = 1.0, lower: float = -2.0, upper: float = 2.0
) -> Random:
    """Normal cut to [mean + std * lower, mean + std * upper].

    Formula: w ~ N(mean, std**2) given lower <= (w - mean) / std <= upper. Reads: no axes.
    Preserves: nothing by itself.
    Units: `std` is the standard deviation *before* truncation; bounds count in units of it
    around the mean.
    Source: folklore.
    Differs: JAX, Keras and SciPy count bounds alike; torch.nn.init.trunc_normal_ takes absolute
    bounds, so that its default bounds of -2 and 2 cut nothing of a std of 0.02.

    >>> truncated_normal(std=0.02)
    truncated_normal(0.0, 0.02, -2.0, 2.0)
    >>> round(truncated_normal(std=0.02).std((64, 64)), 6)
    0.017593
    """
    return Random(TruncatedNormal(mean, std, lower, upper))


def laplace(mean: float = 0.0, scale: float = 1.0) -> Random:
    """Laplace: two exponentials back to back, with heavier tails than the normal.

    Formula: density exp(-|w - mean| / scale) / (2 * scale). Reads: no axes. Preserves: nothing
    by itself.
    Units: `scale` is the mean of |w - mean|; std = scale * sqrt(2).
    Source: Kotz, Kozubowski & Podgorski 2001, section 2.1.
    Differs: torch, JAX and Keras have no such initializer.

    >>> laplace(scale=0.5).std((3,))
    0.7071067811865476
    """
    return Random(Laplace(mean, scale))


def signs(scale: float = 1.0, p: float = 0.5) -> Random:
    """scale with probability p, -scale otherwise (Bernoulli, or Rademacher for p = 1/2).

    Formula: P(w = scale) = p, P(w = -scale) = 1 - p. Reads: no axes. Preserves: nothing by
    itself; all |w| are equal.
    Units: std = 2 * scale * sqrt(p * (1 - p)), which is `scale` for p = 1/2.
    Source: folklore; Rademacher's distribution for p = 1/2.
    Differs: torch, JAX and Keras have no such initializer.

    >>> signs(0.1)((4,), seed=0, name="w")
    array([ 0.1, -0.1,  0.1,  0.1], dtype=float32)
    """
    return Random(Signs(scale, p))


_FOLKLORE = "folklore"
_FLAT = (60_000,)

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "uniform",
        uniform,
        "none",
        "nothing",
        _FOLKLORE,
        "uniform(-0.25, 0.5)",
        _FLAT,
        "U(low, high)",
    ),
    Entry("normal", normal, "none", "nothing", _FOLKLORE, "normal()", _FLAT, "N(mean, std**2)"),
    Entry(
        "truncated_normal",
        truncated_normal,
        "none",
        "nothing",
        _FOLKLORE,
        "truncated_normal(0.5, 2.0, -1.0, 2.5)",
        _FLAT,
        "N(mean, std**2) in mean + std * [lower, upper]",
    ),
    Entry(
        "laplace",
        laplace,
        "none",
        "nothing",
        "Kotz, Kozubowski & Podgorski 2001, section 2.1",
        "laplace(0.5, 2.0)",
        _FLAT,
        "exp(-|w - mean| / scale) / (2 * scale)",
    ),
    Entry(
        "signs",
        signs,
        "none",
        "nothing; all |w| are equal",
        "folklore; Rademacher's distribution for p = 1/2",
        "signs(0.5, 0.3)",
        _FLAT,
        "scale or -scale, with probabilities p and 1 - p",
    ),
)
