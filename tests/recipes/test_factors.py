"""Factors of updates, by their definitions."""

import numpy as np
import pytest

from fanin import FaninError
from fanin.recipes._factors import STARTS, Evidence
from fanin.streams import Array

RNG = np.random.default_rng(0)
WEIGHT, X = RNG.standard_normal((12, 8)), RNG.standard_normal((500, 8)) @ np.diag(np.arange(1, 9))
SEEN = Evidence((12, 8), WEIGHT, X.mean(0), X.T @ X / len(X), WEIGHT @ X[:8].T)
RANK, FACTOR = 3, -2.0


def product(name: str, seen: Evidence = SEEN) -> Array:
    made = STARTS[name].make(seen, RANK, FACTOR)
    assert made.last.shape == (12, RANK)
    assert made.first.shape == (RANK, 8)
    return FACTOR * made.last @ made.first


def test_what_is_taken_from_the_weight_leaves_the_singular_values_that_it_should() -> None:
    values = np.linalg.svd(WEIGHT)[1]
    for name, rest in (("pissa", values[RANK:]), ("milora", values[:-RANK])):
        left = np.linalg.svd(WEIGHT - product(name))[1]
        assert np.allclose(left[: len(rest)], rest)
        assert np.allclose(left[len(rest) :], 0)


def test_olora_has_the_first_columns_of_q() -> None:
    made = STARTS["olora"].make(SEEN, RANK, FACTOR)
    assert np.allclose(made.last.T @ made.last, np.eye(RANK))
    assert np.allclose((made.last @ made.first)[:, :RANK], WEIGHT[:, :RANK])
    assert (np.diagonal(made.first) > 0).all()


def test_eva_points_where_the_inputs_vary_most() -> None:
    made = STARTS["eva"].make(SEEN, RANK, FACTOR)
    assert not made.last.any()
    assert np.abs(made.first).argmax(1).tolist() == [7, 6, 5]


def test_corda_is_the_best_product_behind_these_inputs() -> None:
    """No rank-3 change of the weight is nearer on inputs with this C: Eckart and Young."""
    inputs = SEEN.second + 0.01 * np.trace(SEEN.second) / 8 * np.eye(8)
    error = np.linalg.norm((WEIGHT - product("corda")) @ inputs)
    assert error == pytest.approx(np.linalg.norm(np.linalg.svd(WEIGHT @ inputs)[1][RANK:]))


def test_signs_do_not_depend_on_those_of_the_decomposition() -> None:
    left = STARTS["mica"].make(SEEN, RANK, FACTOR).last
    assert (left[np.abs(left).argmax(0), np.arange(RANK)] > 0).all()


@pytest.mark.parametrize(
    ("name", "seen", "told"),
    [
        ("eva", SEEN._replace(second=np.outer(SEEN.mean, SEEN.mean)), "the same everywhere"),
        ("corda", SEEN._replace(second=np.zeros((8, 8))), "its inputs are zero"),
        ("lora_ga", SEEN._replace(gradient=np.zeros((12, 8))), "gradient by it is zero"),
    ],
)
def test_what_gives_no_direction_is_refused(name: str, seen: Evidence, told: str) -> None:
    with pytest.raises(FaninError, match=told):
        product(name, seen)
