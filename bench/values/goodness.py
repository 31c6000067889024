"""What one statistical test says: a row with a p-value, from a z, a chi-square or a sample."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

CHUNK = 10**6  # values at a time


@dataclass(frozen=True)
class Row:
    """One line of the table; the p-value decides."""

    test: str
    sample: str
    statistic: str
    p: float


def normal_row(test: str, sample: str, z: float, note: str = "") -> Row:
    """A statistic that is standard normal."""
    return Row(test, sample, f"{note}z = {z:+.2f}", 2 * stats.norm.sf(abs(z)))


def chi_square_row(test: str, sample: str, chi_square: float, freedom: int) -> Row:
    """A statistic that is chi-square; one too small is a fault too."""
    tail = min(stats.chi2.sf(chi_square, freedom), stats.chi2.cdf(chi_square, freedom))
    return Row(test, sample, f"chi2({freedom}) = {chi_square:.1f}", 2 * tail)


def ks_row(test: str, sample: str, u: np.ndarray) -> Row:
    """Kolmogorov-Smirnov on sorted probability-integral transforms, exact over all n steps."""
    n, distance = u.size, 0.0
    for start in range(0, n, CHUNK):
        part = u[start : start + CHUNK]
        rank = np.arange(start, start + part.size)
        distance = max(distance, ((rank + 1) / n - part).max(), (part - rank / n).max())
    scaled = distance * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))  # Stephens 1970
    return Row(test, sample, f"D = {distance:.2e}", stats.kstwobign.sf(scaled))


def anderson_darling_row(test: str, sample: str, u: np.ndarray) -> Row:
    """Anderson-Darling on sorted transforms.

    A**2 = n * integral of (F_n - u)**2 / (u * (1 - u)). The float32 uniform's steps of 2**-24
    add n * 2**-48 / 12 * 34 = 1e-6 to it at n = 10**8, the normal's rounding less. The limit
    law is Marsaglia and Marsaglia's (2004), good to 2e-6; n matters no more from 1000 on.
    """
    n, total = u.size, 0.0
    mirrored = u[::-1]
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        logs = np.log(u[part]) + np.log1p(-mirrored[part])
        total += ((2 * np.arange(start, start + logs.size) + 1) / n) @ logs
    a = -n - total
    if a < 2:
        c = (2.00012, 0.247105, -0.0649821, 0.0347962, -0.011672, 0.00168691)
        p = 1 - math.exp(-1.2337141 / a) / math.sqrt(a) * np.polynomial.Polynomial(c)(a)
    else:
        c = (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146)
        p = -math.expm1(-math.exp(np.polynomial.Polynomial(c)(min(a, 30.0))))
    return Row(test, sample, f"A2 = {a:.3f}", p)
