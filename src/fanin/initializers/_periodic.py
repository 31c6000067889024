"""Initializers of networks of sines: SIREN, and random Fourier features."""

from fanin.errors import FaninError, as_number, quote
from fanin.initializers._base import Initializer
from fanin.initializers._entry import Entry
from fanin.initializers._random import normal
from fanin.initializers._scaling import VarianceScaling


def siren(omega: float = 30.0) -> VarianceScaling:
    """Uniform for the hidden layers of a sine network x -> sin(omega * (W x + b)).

    Formula: w ~ U(-limit, limit), limit = sqrt(6 / fan_in) / omega: variance 2 / (fan_in
    omega**2).
    Reads: in, kernel. Preserves: the distribution of activations, nearly the arcsine's. Theirs
    has variance 1/2; the sine of N(0, 1) has 0.43, and in depth it settles at 0.40.
    Units: `omega` multiplies the pre-activation *inside* the sine; the first layer takes
    siren_first and the same omega. Where the network has no omega, use omega=1.
    Source: Sitzmann et al. 2020, section 3.2 and Theorem 1.8 (supplement).
    Differs: torch, JAX and Keras have none.

    >>> siren().std((256, 256))
    0.002946278254943948
    """
    number = as_number(omega)
    if not 1e-100 <= number <= 1e100:  # its square is a number, too
        raise FaninError(f"omega of siren is {quote(omega)}; it must be from 1e-100 to 1e100.")
    return VarianceScaling(2.0 / number**2, "fan_in", "uniform")


def fourier_features(sigma: float = 1.0) -> Initializer:
    """Random frequencies B of the features [cos(2 pi B v), sin(2 pi B v)].

    Formula: B ~ N(0, sigma**2), entry by entry; it is normal(0.0, sigma).
    Reads: no axes: frequencies do not depend on how many there are. Preserves: the kernel
    exp(-2 (pi sigma |u - v|)**2), which the features approximate.
    Units: `sigma` is the std of B in cycles per unit of v: the 2 pi is *not* in B. For features
    cos(B v) use sigma * 2 pi. cos comes first, both with a plus sign; signs of B's rows do not
    matter to the kernel.
    Source: Tancik et al. 2020, eq. 5 and section 6.1. Differs: torch, JAX and Keras have none.

    >>> fourier_features(10.0)
    normal(0.0, 10.0)
    """
    return normal(0.0, sigma)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "siren",
        siren,
        "in, kernel",
        "the distribution of a sine network's activations",
        "Sitzmann et al. 2020, section 3.2 and Theorem 1.8",
        "siren(30.0)",
        formula="U(+-sqrt(6 / fan_in) / omega)",
    ),
    Entry(
        "fourier_features",
        fourier_features,
        "none",
        "the kernel that the features approximate",
        "Tancik et al. 2020, eq. 5 and section 6.1",
        "fourier_features(10.0)",
        (60_000,),
        "N(0, sigma**2)",
    ),
)
