"""NIST's test of non-overlapping templates, against counts by hand and a fault."""

import numpy as np
import pytest
from scipy import stats

from bench.values.templates import BLOCKS, aperiodic_templates, non_overlapping_templates


def test_templates_are_those_of_nist() -> None:
    """NIST's file of nine bits has 148, from 000000001 to 111111110."""
    templates = aperiodic_templates()
    assert (len(templates), templates[0], templates[-1]) == (148, 1, 510)


def test_p_values_are_those_of_counts_without_overlap() -> None:
    """mean and variance by section 2.7.4, for blocks of 125,000 bits: 244.125 and 236.034..."""
    bits = np.random.default_rng(0).integers(0, 2, 10**6, np.uint8)
    found = non_overlapping_templates(bits)
    text = "".join(map(str, bits))
    for place, template in list(enumerate(aperiodic_templates()))[::21]:
        counts = [
            text[k * 125_000 : (k + 1) * 125_000].count(f"{template:09b}") for k in range(BLOCKS)
        ]
        mean, variance = 124_992 / 512, 125_000 * (1 / 512 - 17 / 2**18)
        chi_square = sum((count - mean) ** 2 for count in counts) / variance
        assert found[place] == pytest.approx(stats.chi2.sf(chi_square, 8), rel=1e-9)
    assert found.min() > 1e-5  # of 148: by chance once in 700 seeds, and this seed is fixed


def test_a_pattern_too_often_is_found() -> None:
    """000000001 put into every 2000th place: 62 times more in each block, which has 244."""
    bits = np.random.default_rng(0).integers(0, 2, 10**6, np.uint8)
    bits.reshape(500, 2000)[:, :9] = [0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert non_overlapping_templates(bits)[0] < 1e-10
