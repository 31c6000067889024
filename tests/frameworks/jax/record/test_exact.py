"""Numbers of float32 mean those that were rounded to them."""

import jax.numpy as jnp
import numpy as np
import pytest

from fanin.frameworks.jax.record._exact import restore

NUMBERS = [0.2, 0.1, 0.7, 1e-5, 1.702, 0.044715, 1 / 3, 2 / 7, 0.5**0.5, 8**-0.5, 3**0.5, 1e30]


@pytest.mark.parametrize("number", [*NUMBERS, *(-n for n in NUMBERS), 0.0, 1.0, 12345.0])
def test_numbers_are_restored(number: float) -> None:
    assert float(restore(np.float32(number))) == pytest.approx(number, rel=1e-15)


def test_every_number_stays_in_its_place() -> None:
    for number in np.random.default_rng(0).normal(size=500).astype(np.float32):
        assert np.float32(float(restore(number))) == number


def test_few_bits_show_what_somebody_wrote() -> None:
    assert float(restore(jnp.bfloat16(0.2))) == 0.2
    assert float(restore(np.float16(0.1))) == 0.1


def test_others_are_as_they_are() -> None:
    assert float(restore(np.float64(0.1))) == 0.1
    assert restore(np.int32(7)).dtype == np.int32
    array = np.array([0.1, 0.2], np.float32)
    assert restore(array) is array
    assert np.isnan(float(restore(np.float32("nan"))))
    assert float(restore(np.float32("-inf"))) == -np.inf
