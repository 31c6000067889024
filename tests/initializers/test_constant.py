"""Constants: one number, or an array of exactly the parameter's shape."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fanin import FaninError
from fanin.initializers import constant, from_dict, get, ones, to_dict, zeros

VALUES = np.arange(24.0).reshape(2, 3, 4)


@given(
    arrays.arrays(
        st.sampled_from([np.float64, np.float32, np.int32]),
        arrays.array_shapes(max_dims=3, max_side=4),
        elements=st.integers(-1000, 1000),
    )
)
def test_an_array_is_kept_and_prints_as_what_makes_it(values: Any) -> None:
    made = constant(values)
    assert np.array_equal(made(values.shape, seed=0, name="w", dtype="float64"), values)
    if values.size <= 32:
        assert get(repr(made)) == made
    assert hash(made) == hash(constant(values.tolist()))
    assert made == constant(values.astype(float))


def test_it_is_not_the_callers_array() -> None:
    values = VALUES.copy()
    made = constant(values)
    values[...] = 0
    assert np.array_equal(made((2, 3, 4), seed=0, name="w"), VALUES)


def test_a_slice_and_a_dtype_of_an_array() -> None:
    made = constant(VALUES)
    index = (1, slice(None, None, -2), ...)
    part = made((2, 3, 4), seed=0, name="w", dtype="float16", index=index)
    assert part.dtype == np.float16
    assert np.array_equal(part, VALUES[index])
    assert made((2, 3, 4), seed=0, name="w", dtype="complex64").dtype == np.complex64
    one = made((2, 3, 4), seed=0, name="w", index=(1, 2, 3))
    assert one.shape == ()
    assert one == 23


def test_a_tensor_and_numbers_of_numpy() -> None:
    assert constant(torch.tensor([1.0, 2.0])) == constant([1, 2])
    assert constant(np.float32(0.5)) == constant(0.5)
    assert constant(torch.tensor(0.5)) == constant(np.array(0.5)) == constant(0.5)
    assert constant(0) == zeros()
    assert constant(1) == ones()
    assert constant([-0.0]) == constant([0.0])


def test_std_is_that_of_the_array() -> None:
    assert constant(VALUES).std((2, 3, 4)) == VALUES.std()
    assert constant(0.3).std((2, 3)) == 0


@pytest.mark.parametrize("shape", [(4, 3, 2), (2, 3), (24,), (), (2, 3, 5)])
def test_the_shape_is_the_parameters(shape: tuple[int, ...]) -> None:
    out = np.full(shape, 7, np.float32)
    message = r"constant\(.*\) has shape \(2, 3, 4\), the parameter has .*; they must agree. Give"
    with pytest.raises(FaninError, match=message):
        constant(VALUES)(shape, seed=0, name="w", out=out)
    with pytest.raises(FaninError, match=message):
        constant(VALUES).std(shape)
    assert (out == 7).all()


@pytest.mark.parametrize(
    "wrong", [[1.0, float("nan")], [float("inf")], ["a", "b"], [1j], [None], [[1], [2, 3]], "ab"]
)
def test_only_finite_real_numbers(wrong: Any) -> None:
    with pytest.raises(FaninError, match=r"value of constant is .* finite"):
        constant(wrong)


def test_a_value_beyond_the_dtype_leaves_out_untouched() -> None:
    out = np.full((2,), 7, np.float16)
    with pytest.raises(FaninError, match=r"values reach 1e\+05, beyond the range of float16"):
        constant([1.0, 1e5])((2,), seed=0, name="w", out=out)
    assert (out == 7).all()


def test_no_values_are_those_of_any_parameter_without_elements() -> None:
    """As a list, by which plans are stored, an array of shape (0, 3) is one of shape (0,)."""
    stored = from_dict(to_dict(constant(np.zeros((0, 3)))))
    for none in (stored, constant(np.zeros((0, 3)))):
        assert none((0, 3), seed=0, name="w").shape == (0, 3)
    with pytest.raises(FaninError, match="shape"):
        stored((1, 3), seed=0, name="w")
