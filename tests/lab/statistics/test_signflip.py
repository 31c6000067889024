import math
from itertools import product

import numpy as np
import pytest

from fanin.lab.statistics.signflip import sign_flip
from fanin.lab.statistics.statistics import smallest_p


@pytest.mark.parametrize("seed", range(4))
def test_the_test_enumerates_all_flips(seed: int) -> None:
    gaps = np.random.default_rng(seed).normal(0.5, size=7).round(1)
    means = [abs(np.mean(gaps * signs)) for signs in product((1, -1), repeat=7)]
    expected = np.mean(np.array(means) >= abs(gaps.mean()) - 1e-12)
    assert sign_flip(gaps, 0.05).p == pytest.approx(expected, abs=1e-12)


def test_of_little() -> None:
    assert sign_flip(np.zeros(5), 0.05) == (1, 0, 0)
    assert sign_flip(np.ones(1), 0.05).p == 1
    assert math.isnan(sign_flip(np.ones(1), 0.05).low)
    assert sign_flip(np.arange(1, 9) / 8, 0.05).p == 2 / 2**8
    assert sign_flip(np.arange(1, 21) / 20, 0.05).p == smallest_p(20, 1) == 1 / 10_000


def test_it_errs_as_often_as_it_says() -> None:
    # 1000 samples of 6 pairs: p <= 0.0625 has exactly that chance under the null, and so has a
    # bound at that level to miss the truth. Fixed seed; a faultless test fails outside 4 standard
    # errors once in 16000.
    generator = np.random.default_rng(1)
    tests = [sign_flip(generator.normal(size=6), 0.0625) for _ in range(1000)]
    rejected = np.mean([test.p <= 0.0625 for test in tests])
    missed = np.mean([not test.low <= 0 <= test.high for test in tests])
    assert rejected == missed
    assert rejected == pytest.approx(0.0625, abs=4 * math.sqrt(0.0625 * 0.9375 / 1000))


@pytest.mark.parametrize("pairs", [6, 9, 15])  # the last with random flips
def test_the_bounds_are_where_the_test_turns(pairs: int) -> None:
    gaps = np.random.default_rng(pairs).normal(0.3, size=pairs)
    found = sign_flip(gaps, 0.1)
    assert found.low < gaps.mean() < found.high
    for bound, out in ((found.low, -1e-6), (found.high, 1e-6)):
        beyond, within = (sign_flip(gaps - bound - way * out, 0.1) for way in (1, -1))
        assert beyond.p <= 0.1 < within.p
        assert not beyond.low <= 0 <= beyond.high
        assert within.low <= 0 <= within.high


def test_the_bounds_move_and_scale_with_the_gaps() -> None:
    gaps = np.array([0.1, 0.3, -0.2, 0.4, 0.25, 0.15, 0.3])
    one, two = sign_flip(gaps, 0.05), sign_flip(-1000 * gaps, 0.05)
    assert one.p == two.p
    assert (two.low, two.high) == pytest.approx((-1000 * one.high, -1000 * one.low))


def test_a_level_below_what_so_few_pairs_can_reach_has_no_bounds() -> None:
    assert sign_flip(np.arange(1, 6) / 5, 0.05)[1:] == (-math.inf, math.inf)
    assert sign_flip(np.arange(1, 16) / 15, 1e-5)[1:] == (-math.inf, math.inf)
