import math
from itertools import product

import numpy as np
import pytest

from fanin.lab.statistics import (
    ALPHA,
    Difference,
    Interval,
    detectable,
    difference,
    holm,
    mean_interval,
    pairs_needed,
    sign_flip,
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


@pytest.mark.parametrize("seed", range(4))
def test_the_sign_flip_test_enumerates_all_flips(seed: int) -> None:
    gaps = np.random.default_rng(seed).normal(0.5, size=7).round(1)
    means = [abs(np.mean(gaps * signs)) for signs in product((1, -1), repeat=7)]
    expected = np.mean(np.array(means) >= abs(gaps.mean()) - 1e-12)
    assert sign_flip(gaps) == pytest.approx(expected, abs=1e-12)


def test_sign_flip_of_little() -> None:
    assert sign_flip(np.zeros(5)) == 1
    assert sign_flip(np.ones(1)) == 1
    assert sign_flip(np.arange(1, 9) / 8) == 2 / 2**8
    assert sign_flip(np.arange(1, 21) / 20) == smallest_p(20, 1) == 1 / 10_000


def test_the_sign_flip_test_errs_as_often_as_it_says() -> None:
    # 1000 samples of 6 pairs: p <= 0.0625 has exactly that chance under the null. Fixed seed;
    # a faultless test fails outside 4 standard errors once in 16000.
    generator = np.random.default_rng(1)
    rejected = np.mean([sign_flip(generator.normal(size=6)) <= 0.0625 for _ in range(1000)])
    assert rejected == pytest.approx(0.0625, abs=4 * math.sqrt(0.0625 * 0.9375 / 1000))


def given(p: float) -> Difference:
    return Difference("a", "b", Interval(0, 0, 0), p, p, 1.0)


def test_holm_is_the_papers_step_down() -> None:
    adjusted = holm([given(p) for p in (0.01, 0.04, 0.03, 0.005)])
    assert [one.p_holm for one in adjusted] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [one.found for one in adjusted] == [True, False, False, True]
    assert holm([given(0.9), given(0.8)])[0].p_holm == 1
    assert holm([]) == []


def test_a_paired_difference() -> None:
    first, second = [0.9, 0.8, 0.85, 0.95, 0.9, 0.8], [0.8, 0.75, 0.7, 0.8, 0.85, 0.75]
    found = difference(("a", first), ("b", second), family=1)
    assert found.interval.mean == pytest.approx(0.55 / 6)
    assert 0.05 <= found.interval.low < found.interval.mean < found.interval.high <= 0.15
    assert found.p == 2 / 64
    assert found.found
    assert found == difference(("a", first), ("b", second), family=1)  # a fixed seed


@pytest.mark.parametrize(("family", "pairs"), [(1, 6), (6, 8), (10, 9), (36, 11)])
def test_with_fewer_pairs_nothing_can_be_found(family: int, pairs: int) -> None:
    assert pairs_needed(family) == pairs
    assert smallest_p(pairs, family) <= ALPHA < smallest_p(pairs - 1, family)
    assert math.isinf(detectable(pairs - 1, family))
    assert detectable(pairs, family) < 4


def test_the_detectable_effect_is_found_four_times_in_five() -> None:
    # 1000 samples of 10 pairs. The sign-flip test stays a little below the t-test's power.
    effect, generator = detectable(10, 1), np.random.default_rng(2)
    found = [sign_flip(generator.normal(effect, size=10)) <= ALPHA for _ in range(1000)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
    assert detectable(10, 6) > effect > detectable(20, 1)
