"""Initializers with a distribution of fixed parameters, whatever the shape."""

from dataclasses import astuple, dataclass

from fanin.axes import Axes
from fanin.initializers._base import Elementwise, expression
from fanin.streams import Distribution, Normal, TruncatedNormal, Uniform


@dataclass(frozen=True, slots=True, repr=False)
class Random(Elementwise):
    """Values of one distribution for every shape; no axis roles are read."""

    drawn: Uniform | Normal | TruncatedNormal

    def _distribution(self, shape: tuple[int, ...], axes: Axes) -> Distribution:
        return self.drawn

    def __repr__(self) -> str:
        return expression(self.drawn.kind, *astuple(self.drawn))


def uniform(low: float, high: float) -> Random:
    """Uniform on the open interval (low, high): std = (high - low) / sqrt(12).

    Differs from torch and Keras, whose intervals are half-open, and from JAX, whose `scale`
    is `high` with low = 0.

    >>> uniform(-0.5, 0.5)
    uniform(-0.5, 0.5)
    """
    return Random(Uniform(low, high))


def normal(mean: float = 0.0, std: float = 1.0) -> Random:
    """Normal with this mean and standard deviation.

    >>> normal(std=0.02)
    normal(0.0, 0.02)
    """
    return Random(Normal(mean, std))


def truncated_normal(
    mean: float = 0.0, std: float = 1.0, lower: float = -2.0, upper: float = 2.0
) -> Random:
    """Normal cut to [mean + std * lower, mean + std * upper].

    `std` is the standard deviation *before* truncation; bounds count in units of it around
    the mean, as in JAX, Keras and SciPy. torch.nn.init.trunc_normal_ takes absolute bounds.

    >>> truncated_normal(std=0.02)
    truncated_normal(0.0, 0.02, -2.0, 2.0)
    >>> round(truncated_normal(std=0.02).std((64, 64)), 6)
    0.017593
    """
    return Random(TruncatedNormal(mean, std, lower, upper))
