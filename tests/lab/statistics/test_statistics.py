import math

import numpy as np
import pytest

from fanin.lab.statistics.signflip import sign_flip
from fanin.lab.statistics.statistics import (
    ALPHA,
    detectable,
    difference,
    mean_interval,
    pairs_needed,
    share_interval,
    smallest_p,
)


def test_the_interval_of_a_textbook_sample() -> None:
    interval = mean_interval([4.0, 6.0, 8.0])  # t(0.975, 2) = 4.302653, error 2 / sqrt(3)
    assert interval.mean == 6
    assert interval.high - 6 == pytest.approx(4.302653 * 2 / math.sqrt(3), rel=1e-6)
    assert 6 - interval.low == pytest.approx(interval.high - 6)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    intervals = [mean_interval(generator.normal(size=8).tolist()) for _ in range(4000)]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


def test_one_value_has_no_interval() -> None:
    interval = mean_interval([0.5])
    assert interval.mean == 0.5
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


@pytest.mark.parametrize(
    "values", [[0.9, 0.92], [0.5, 0.0], [1.0, 1.0, 0.99], [0.1, 0.9], [0.0, 1e-3], [1.0] * 3]
)
def test_the_interval_of_a_share_holds_shares_alone(values: list[float]) -> None:
    interval = share_interval(values)
    assert interval.mean == np.mean(values)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1
    assert (interval.low < interval.high) == (len(set(values)) > 1)


def test_the_interval_of_a_share_by_hand() -> None:
    # t(0.975, 1) = 12.7062, error 0.01; logit(0.91) = 2.31363, on its scale 0.91 * 0.09.
    interval = share_interval([0.9, 0.92])
    half = 12.7062 * 0.01 / (0.91 * 0.09)
    expected = [1 / (1 + math.exp(-2.313635 + sign * half)) for sign in (1, -1)]
    assert [interval.low, interval.high] == pytest.approx(expected, rel=1e-4)
    assert math.isnan(share_interval([0.5]).low)


@pytest.mark.parametrize(("a", "b"), [(30, 2), (90, 10), (2, 2)])
def test_the_interval_of_a_share_covers_as_often_as_it_says(a: float, b: float) -> None:
    # 4000 samples of 8 seeds each, beta distributed. Measured: 94.8 to 95.6 %. Fixed seed.
    generator = np.random.default_rng(0)
    intervals = [share_interval(generator.beta(a, b, size=8).tolist()) for _ in range(4000)]
    covered = np.mean([interval.low <= a / (a + b) <= interval.high for interval in intervals])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_a_paired_difference() -> None:
    first, second = [0.9, 0.8, 0.85, 0.95, 0.9, 0.8], [0.8, 0.75, 0.7, 0.8, 0.85, 0.75]
    found = difference(("a", first), ("b", second), family=1)
    assert found.interval.mean == pytest.approx(0.55 / 6)
    # With 6 pairs, 0.05 of 64 flips refutes what lies beyond the smallest or the largest gap.
    assert found.interval.low == pytest.approx(0.05)
    assert found.interval.high == pytest.approx(0.15)
    assert found.p == found.p_adjusted == 2 / 64
    assert found.found
    assert found == difference(("a", first), ("b", second), family=1)  # a fixed seed
    two = difference(("a", first), ("b", second), family=2)
    assert (two.p, two.p_adjusted, two.found) == (2 / 64, 4 / 64, False)
    assert (two.interval.low, two.interval.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("family", [1, 3, 45])
def test_zero_is_outside_the_bounds_exactly_where_a_difference_is_found(family: int) -> None:
    # Accuracies on 100 images, which have many ties. About a third are found.
    generator, found = np.random.default_rng(family), 0
    for _ in range(60):
        pairs = int(generator.integers(5, 16))
        gaps = generator.normal(generator.choice([0, 6]), 5, size=pairs).round() / 100
        one = difference(("a", 0.5 + gaps), ("b", [0.5] * pairs), family)
        assert one.found == (not one.interval.low <= 0 <= one.interval.high)
        assert one.interval.low <= one.interval.mean <= one.interval.high
        found += one.found
    assert 3 < found < 57


@pytest.mark.parametrize(("family", "pairs"), [(1, 6), (6, 8), (10, 9), (36, 11)])
def test_with_fewer_pairs_nothing_can_be_found(family: int, pairs: int) -> None:
    assert pairs_needed(family) == pairs
    assert smallest_p(pairs, family) <= ALPHA < smallest_p(pairs - 1, family)
    assert math.isinf(detectable(pairs - 1, family))
    assert detectable(pairs, family) < 4


def test_the_detectable_effect_is_found_four_times_in_five() -> None:
    # 1000 samples of 10 pairs. The sign-flip test stays a little below the t-test's power.
    effect, generator = detectable(10, 1), np.random.default_rng(2)
    found = [sign_flip(generator.normal(effect, size=10), ALPHA).p <= ALPHA for _ in range(1000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
    assert detectable(10, 6) > effect > detectable(20, 1)
