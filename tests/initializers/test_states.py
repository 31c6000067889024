"""Time scales, gates and state spaces: laws and formulas."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fanin import FaninError
from fanin.initializers import (
    chrono,
    hippo_legs,
    log_uniform,
    lru_phase,
    lru_ring,
    s4d_lin,
    s4d_real,
    uniform,
)

COUNT = 20_000
Bring = Callable[[Any], Any]


@pytest.mark.parametrize(
    ("made", "back", "law"),
    [
        (log_uniform(1e-3, 0.1), lambda x: x, stats.loguniform(1e-3, 0.1)),
        (log_uniform(1e-3, 0.1, "inverse_softplus"), np.logaddexp, stats.loguniform(1e-3, 0.1)),
        (log_uniform(0.5, 90.0, "inverse_softplus"), np.logaddexp, stats.loguniform(0.5, 90.0)),
        (lru_ring(0.5, 0.99), lambda x: np.exp(-np.exp(x)) ** 2, stats.uniform(0.25, 0.7301)),
        (lru_ring(), lambda x: np.exp(-np.exp(x)) ** 2, stats.uniform()),
        (lru_phase(3.0), np.exp, stats.uniform(0, 3)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_the_model_makes_of_them_has_the_law(
    made: Any, back: Any, law: Any, dtype: str
) -> None:
    """Kolmogorov-Smirnov at 20 000 values, level 1e-4."""
    values = made((COUNT,), seed=3, name="steps", dtype=dtype).astype(float)
    seen = back(values, 0.0) if back is np.logaddexp else back(values)
    assert stats.kstest(seen, law.cdf).pvalue > 1e-4
    assert made.std((COUNT,)) == pytest.approx(values.std(), rel=0.03)


def test_a_transformed_draw_is_that_of_the_same_word() -> None:
    """softplus of the one is the other, to the last bits of float64."""
    steps = log_uniform(1e-3, 0.1)((500,), seed=0, name="dt", dtype="float64")
    bias = log_uniform(1e-3, 0.1, "inverse_softplus")((500,), seed=0, name="dt", dtype="float64")
    assert np.allclose(np.logaddexp(bias, 0), steps, rtol=1e-14)
    assert log_uniform(1e-3, 0.1, "log") == uniform(math.log(1e-3), math.log(0.1))


def test_chrono_remembers_for_all_times() -> None:
    bias = chrono(200.0)((4 * COUNT,), seed=0, name="b", dtype="float64")
    entry, forget, cell, output = bias.reshape(4, -1)
    assert stats.kstest(np.exp(forget), stats.uniform(1, 198).cdf).pvalue > 1e-4
    assert np.array_equal(entry, -forget)
    assert not cell.any()
    assert not output.any()
    assert chrono(200.0).std((40,)) == pytest.approx(bias.std(), rel=0.01)


def test_hippo_is_its_formula() -> None:
    made = hippo_legs()((2, 5, 5), seed=0, name="A", dtype="float64")
    for n in range(5):
        for k in range(5):
            below = -math.sqrt((2 * n + 1) * (2 * k + 1)) if n > k else 0.0
            assert made[1, n, k] == pytest.approx(-(n + 1) if n == k else below)
    assert np.allclose(s4d_lin()((2, 4), seed=0, name="A")[1], math.pi * np.arange(4))
    assert np.allclose(np.exp(s4d_real()((2, 4), seed=0, name="A")[0]), [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_uniform(0.1, 0.01), "give 0 < low < high"),
        (lambda: log_uniform(0, 1), "give 0 < low < high"),
        (lambda: log_uniform("a", 1), "low of log_uniform is 'a'; it must be a finite number"),
        (lambda: log_uniform(1, 2, "exp"), "transform of log_uniform is 'exp'; allowed are log, i"),
        (lambda: lru_ring(0.5, 1.5), "give 0 <= r_min < r_max <= 1"),
        (lambda: lru_phase(0), "high of log_of_uniform is 0; give a number above 0"),
        (lambda: chrono(2), "steps of chrono is 2; it is a number above 2"),
        (lambda: chrono(9).std((6,)), "is no bias of an LSTM"),
        (lambda: hippo_legs().std((3, 4)), "two last axes of one length"),
        (lambda: s4d_lin().std(()), "needs: a last axis"),
        (lambda: s4d_real().std((2**62,)), "the values themselves, and there is no memory"),
    ],
)
def test_wrong_ones(call: Callable[[], object], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        call()
