"""Scales and the rest of a weight: their product is what the initializer draws."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from fanin import FaninError
from fanin.initializers import (
    blocks,
    get,
    glorot_normal,
    he_uniform,
    log_normal,
    normal,
    orthogonal,
    weight_factorization,
    zeros,
)


def test_the_scales_are_log_normal() -> None:
    """Kolmogorov-Smirnov at 20 000 values, level 1e-4; and the exponentials of normal's."""
    values = log_normal(0.5, 0.1)((20_000,), seed=0, name="g", dtype="float64")
    assert stats.kstest(np.log(values), stats.norm(0.5, 0.1).cdf).pvalue > 1e-4
    drawn = normal(0.5, 0.1)((20_000,), seed=0, name="g", dtype="float64")
    assert np.allclose(values, np.exp(drawn), rtol=1e-14)
    assert log_normal(0.5, 0.1).std((20_000,)) == pytest.approx(values.std(), rel=0.05)


@pytest.mark.parametrize(
    ("shape", "axes"), [((6, 4), "out in"), ((4, 6), "in out"), ((4, 2, 3), "in out out")]
)
def test_the_product_is_the_weight(shape: tuple[int, ...], axes: str) -> None:
    scales = log_normal(1.0, 0.1)((6,), seed=3, name="g", dtype="float64")
    made = weight_factorization(he_uniform(), "g", 1.0, 0.1)
    rest = made(shape, seed=3, name="v", dtype="float64", axes=axes)
    weight = he_uniform()(shape, seed=3, name="v", dtype="float64", axes=axes)
    turned = scales[:, None] if axes == "out in" else scales.reshape(shape[1:])
    assert np.allclose(turned * rest, weight, rtol=1e-15)


def test_it_is_an_expression_and_knows_prefixes() -> None:
    made = weight_factorization(glorot_normal(), "a.g", 0.5, 0.2)
    assert get("weight_factorization(xavier_normal(), 'a.g', mean=0.5, std=0.2)") == made
    assert made.under("critic") == weight_factorization(glorot_normal(), "critic.a.g", 0.5, 0.2)
    assert made.under("") == made
    values = made((400, 300), seed=0, name="v")
    assert made.std((400, 300)) == pytest.approx(values.std(), rel=0.02)
    assert weight_factorization(normal(1.0, 0.1), "g").std((400, 300)) == pytest.approx(
        weight_factorization(normal(1.0, 0.1), "g")((400, 300), seed=0, name="v").std(), rel=0.1
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_normal(60), "mean of log_normal is 60; it is of a logarithm, from -50 to 50"),
        (lambda: log_normal(0, -1), "std of log_normal is -1; give a number above 0"),
        (
            lambda: weight_factorization(orthogonal(), "g"),
            r"weight_factorization has orthogonal\(1.0\); it takes",
        ),  # type: ignore[arg-type]
        (
            lambda: weight_factorization(blocks(zeros()), "g"),
            "it takes an initializer that draws each value",
        ),
        (lambda: weight_factorization(zeros(), ""), "name is ''"),
        (lambda: weight_factorization(zeros(), "g", "a"), "mean of weight_factorization is 'a'"),  # type: ignore[arg-type]
        (lambda: weight_factorization(zeros(), "g").std((4,)), "no `in` axis"),
        (
            lambda: weight_factorization(zeros(), "g").std((4, 4), groups=2),
            r"shape \(4, 4\) holds several map",
        ),
    ],
)
def test_wrong_ones(call: Callable[[], object], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        call()
