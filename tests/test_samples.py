"""Samples: inputs by chance, the same for the same seed, and where the model is."""

import numpy as np
import pytest
import torch
from torch import nn

from fanin import Stream
from fanin._samples import Form, Sample, draw
from fanin.frameworks.torch import place


@pytest.mark.parametrize("count", [1, 2, 3, 2**31])
def test_tokens_are_below_their_count(count: int) -> None:
    sample = draw([Form((20,), count)], 0, 50)
    ids = sample.values
    assert isinstance(ids, np.ndarray)
    assert (ids.dtype, ids.shape) == (np.int64, (50, 20))
    assert (sample.described, sample.chance) == (
        f"token ids 0 to {count - 1}, (50, 20)",
        "random token ids",
    )
    # 1000 draws: that one of two or three tokens is missing has chance 1e-175.
    assert int(ids.min()) >= 0
    assert min(count, 2) <= len(np.unique(ids)) <= count
    assert int(ids.max()) < count
    if count == 2**31:
        assert int(ids.max()) > 2**30


def test_gaussian_numbers_are_the_streams() -> None:
    sample = draw([Form((3, 5))], 7, 4)
    assert np.array_equal(sample.values, Stream(7, "check/inputs").normal((4, 3, 5)))
    assert sample.described == "Gaussian, mean 0, variance 1, (4, 3, 5)"
    assert not np.array_equal(sample.values, draw([Form((3, 5))], 8, 4).values)


@pytest.mark.parametrize(
    ("forms", "count"),
    [
        ([Form((8,))], 256),
        ([Form((3, 224, 224))], 6),
        ([Form((1 << 20,))], 4),
        ([Form((128,), 1000)], 128),  # a token stands for 64 numbers
        ([Form((4096,)), Form((64,), 50)], 128),
    ],
)
def test_a_batch_has_about_a_million_numbers(forms: list[Form], count: int) -> None:
    values = draw(forms, 0).values
    for array in values if isinstance(values, tuple) else (values,):
        assert len(array) == count


def test_several_inputs_are_drawn_each_from_a_seed_of_its_own() -> None:
    sample = draw([Form((8,)), Form((8,)), Form((4,), 9)], 2**64 - 1, 2)
    first, second, third = sample.values
    assert np.array_equal(first, Stream(2**64 - 1, "check/inputs").normal((2, 8)))
    assert np.array_equal(second, Stream(0, "check/inputs").normal((2, 8)))
    assert third.shape == (2, 4)
    assert sample.chance == "Gaussian and random token ids"


def test_inputs_go_where_the_model_is_and_only_real_ones_change_their_type() -> None:
    real, whole = np.zeros((2, 3), np.float32), np.zeros(2, np.int64)
    for dtype in (torch.bfloat16, torch.float64):
        first, second = place((real, whole), nn.Linear(3, 3, dtype=dtype))
        assert (first.dtype, second.dtype) == (dtype, torch.int64)
    assert place(real, nn.ReLU()).dtype == torch.float32
    assert place(None, nn.Linear(3, 3)) is None


def test_inputs_of_a_model_without_memory_have_its_type_and_stay_here() -> None:
    with torch.device("meta"):
        model = nn.Linear(3, 2).to(torch.bfloat16)
    sample = Sample((np.zeros((2, 3), np.float32), np.zeros(2, np.int64)), "")
    values = place(sample.values, model)
    assert [tensor.dtype for tensor in values] == [torch.bfloat16, torch.int64]
    assert {tensor.device.type for tensor in values} == {"cpu"}
