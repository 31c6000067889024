import math

import numpy as np
import pytest

from fanin.lab.statistics import Interval, mean_interval


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
    assert interval.overlaps(Interval(9, 8, 10))


def test_overlap() -> None:
    assert Interval(1, 0, 2).overlaps(Interval(3, 2, 4))
    assert not Interval(1, 0, 2).overlaps(Interval(3, 2.1, 4))
    assert not Interval(3, 2.1, 4).overlaps(Interval(1, 0, 2))
