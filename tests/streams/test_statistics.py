"""The draws are distributed as they should be. Seeds are fixed: these tests never flicker.

Each docstring gives the sample size and the rate at which a correct generator would fail
the test, were its seed drawn at random.
"""

import math

import numpy as np
import pytest
from scipy import stats

from fanin import Stream

N = 10**6
SEEDS = (0, 1, 2**64 - 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_normals_pass_kolmogorov_smirnov(seed: int) -> None:
    """n = 10**6, p > 1e-6: false alarms 1e-6 a seed."""
    assert (
        stats.kstest(Stream(seed, "ks").normal(N, 0.5, 3.0), stats.norm(0.5, 3.0).cdf).pvalue > 1e-6
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_uniforms_pass_kolmogorov_smirnov(seed: int) -> None:
    """n = 10**6, p > 1e-6: false alarms 1e-6 a seed."""
    assert stats.kstest(Stream(seed, "ks").uniform(N, -2, 5), "uniform", (-2, 7)).pvalue > 1e-6


@pytest.mark.parametrize(
    ("lower", "upper"), [(-2.0, 2.0), (-0.5, 3.0), (4.0, math.inf), (-11.0, -10.0)]
)
def test_truncated_normals_pass_kolmogorov_smirnov(lower: float, upper: float) -> None:
    """n = 10**6 (float64: 4e-7 of z is felt in the tails), p > 1e-6: false alarms 1e-6 a case."""
    drawn = Stream(3, "ks").truncated_normal(N, 0, 1, lower, upper, dtype="float64")
    mirrored, low, high = (-drawn, -upper, -lower) if upper < 0 else (drawn, lower, upper)
    width = stats.norm.sf(low) - stats.norm.sf(high)
    uniform = (stats.norm.sf(low) - stats.norm.sf(mirrored)) / width
    assert stats.kstest(uniform, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_first_four_moments_of_normals(dtype: str) -> None:
    """n = 10**6; each within 5 standard errors: false alarms 4 * 6e-7."""
    z = Stream(4, "moments").normal(N, dtype=dtype).astype(np.float64)
    for power, (moment, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        assert abs((z**power).mean() - moment) < 5 * math.sqrt(variance / N)


def test_the_mean_and_std_of_uniforms_and_truncated_normals() -> None:
    """n = 10**6; each within 5 standard errors: false alarms 4 * 6e-7."""
    u = Stream(5, "moments").uniform(N, -1, 1).astype(np.float64)
    assert abs(u.mean()) < 5 * math.sqrt(1 / 3 / N)
    assert abs((u**2).mean() - 1 / 3) < 5 * math.sqrt((1 / 5 - 1 / 9) / N)
    z = Stream(5, "moments").truncated_normal(N).astype(np.float64)
    variance, fourth = (stats.truncnorm.moment(order, -2, 2) for order in (2, 4))
    assert abs(z.mean()) < 5 * math.sqrt(variance / N)
    assert abs((z**2).mean() - variance) < 5 * math.sqrt((fourth - variance**2) / N)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0, "layers.0.weight"), (0, "layers.1.weight")),
        ((0, "a"), (1, "a")),
        ((0, "a"), (2**32, "a")),
        ((2**64 - 1, "a"), (2**64 - 2, "a")),
        ((0, "a"), (0, "a.low")),
        ((1, "a"), (0, "b")),
    ],
)
def test_neighbouring_names_and_seeds_are_uncorrelated(
    first: tuple[int, str], second: tuple[int, str]
) -> None:
    """n = 10**6 pairs; |r| < 5 / sqrt(n): false alarms 6e-7 a pair, three lags each."""
    a = Stream(*first).normal(N).astype(np.float64)
    b = Stream(*second).normal(N).astype(np.float64)
    for lag in (0, 1, 4):
        assert abs((a[lag:] * b[: N - lag]).mean()) < 5 / math.sqrt(N - lag)


def test_neighbouring_elements_are_uncorrelated() -> None:
    """n = 10**6; |r| < 5 / sqrt(n) at six lags: false alarms 6 * 6e-7."""
    z = Stream(6, "lags").normal(N).astype(np.float64)
    for lag in (1, 2, 3, 4, 8, 1024):
        assert abs((z[lag:] * z[:-lag]).mean()) < 5 / math.sqrt(N - lag)


def test_every_bit_of_a_word_is_fair() -> None:
    """n = 10**6 words; each of 32 bits within 5 standard errors: false alarms 32 * 6e-7."""
    words = Stream(7, "bits").words(N)
    for bit in range(32):
        ones = int((words >> np.uint32(bit) & np.uint32(1)).sum())
        assert abs(ones - N / 2) < 5 * math.sqrt(N / 4)


def test_seeds_of_one_name_fill_the_unit_interval() -> None:
    """n = 20 000 seeds, the first value of each; p > 1e-6: false alarms 1e-6."""
    firsts = [Stream(seed, "a").uniform(1, dtype="float64")[0] for seed in range(20_000)]
    assert stats.kstest(firsts, "uniform").pvalue > 1e-6
