"""Means, sums and maxima over positions against draws; RNG has a fixed seed."""

import math
from typing import Any

import numpy as np
import pytest

from fanin.graph import positions
from fanin.graph.signal import Signal, apply_pointwise, gaussian

RNG = np.random.default_rng(0)


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


def rectified(second: float = 1.0, correlation: float = 0.0) -> Signal:
    return apply_pointwise(relu, [gaussian(second, 0, correlation)], 1)


@pytest.mark.parametrize("count", [4, 9])
def test_the_largest_of_several(count: int) -> None:
    draws = RNG.standard_normal((200_000, count))
    largest = positions.largest(gaussian(1.0, 0), count, 1)
    assert largest.second == pytest.approx(np.mean(draws.max(1) ** 2), rel=0.01)
    rectified_largest = positions.largest(rectified(), count, 1)
    assert rectified_largest.second == pytest.approx(np.mean(relu(draws).max(1) ** 2), rel=0.01)


def test_averages_keep_what_positions_share() -> None:
    assert positions.pool(rectified(), np.inf, 1).second == pytest.approx(1 / (2 * math.pi))
    four = positions.pool(gaussian(1.0, 0, 0.5), 4, 1)
    assert four.second == pytest.approx(0.25 + 0.75 * 0.5)


def test_the_largest_of_correlated_positions() -> None:
    shared, own = RNG.standard_normal((200_000, 1)), RNG.standard_normal((200_000, 4))
    draws = math.sqrt(0.7) * shared + math.sqrt(0.3) * own
    made = positions.largest(rectified(correlation=0.7), 4, 1)
    assert made.second == pytest.approx(np.mean(relu(draws).max(1) ** 2), rel=0.01)


@pytest.mark.parametrize("correlation", [0.0, 0.01, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_means_of_what_is_not_negative_share_what_their_terms_share(
    count: int, correlation: float
) -> None:
    """Two means of several have the same distribution, and share what two of their terms do."""
    signal = rectified(correlation=correlation)
    made = positions.pool(signal, count, 1)
    assert made.second == pytest.approx((signal.second + (count - 1) * signal.shared) / count)
    assert made.shared == pytest.approx(signal.shared, rel=1e-4)
