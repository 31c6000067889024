"""Batches for a checkup: the same for the same seed, and where the model is."""

import numpy as np
import pytest
import torch
from torch import nn

from fanin.errors import FaninError
from fanin.frameworks.torch import gaussian_inputs
from fanin.lab import samples
from fanin.lab.sources import load


@pytest.mark.parametrize("count", [1, 2, 3, 2**31])
def test_tokens_are_below_their_count(count: int) -> None:
    ids = samples.tokens((50, 20), count, 0)
    assert (ids.dtype, ids.shape) == (torch.int64, (50, 20))
    # 1000 draws: that one of two or three tokens is missing has chance 1e-175.
    assert int(ids.min()) >= 0
    assert min(count, 2) <= len(ids.unique()) <= count
    assert int(ids.max()) < count
    if count == 2**31:
        assert int(ids.max()) > 2**30


def test_images_come_with_their_own_labels() -> None:
    data = load("digits")
    values, labels = samples.examples(data, 16, 3)
    assert (values.shape, values.dtype, labels.dtype) == (
        (16, 1, 28, 28),
        torch.float32,
        torch.int64,
    )
    for value, label in zip(values.numpy(), labels.tolist(), strict=True):
        same = np.flatnonzero((data.inputs == value).all(axis=(1, 2, 3)))
        assert label in data.labels[same]
    assert torch.equal(samples.examples(data, 16, 3)[0], values)
    assert not torch.equal(samples.examples(data, 16, 4)[0], values)


@pytest.mark.parametrize("batch", [0, -1, 1797])
def test_a_batch_that_the_data_has_not(batch: int) -> None:
    with pytest.raises(FaninError, match=rf"batch is {batch}; digits has 1797 images"):
        samples.examples(load("digits"), batch, 0)


def test_inputs_go_where_the_model_is_and_only_real_ones_change_their_type() -> None:
    real, whole = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
    for model in (nn.Linear(3, 3, dtype=torch.bfloat16), nn.Linear(3, 3, device="meta")):
        first, second = samples.placed((real, whole), model)
        assert (first.dtype, first.device) == (model.weight.dtype, model.weight.device)
        assert (second.dtype, second.device) == (torch.int64, model.weight.device)
    assert samples.placed(real, nn.ReLU()) is real
    assert samples.placed(None, nn.Linear(3, 3)) is None


def test_a_shape_is_checked_on_the_batch_that_the_command_line_draws() -> None:
    """`--input 64` and `--input 64 --batch 256`: the same inputs, 256 of 64 numbers."""
    model = nn.Linear(64, 2)
    drawn = gaussian_inputs(model, (64,), 7)
    assert torch.equal(drawn, samples.gaussian((256, 64), 7))
    assert not torch.equal(drawn, gaussian_inputs(model, (64,), 8))


def test_inputs_of_a_model_without_memory_have_its_type_and_stay_here() -> None:
    with torch.device("meta"):
        model = nn.Linear(3, 2).to(torch.bfloat16)
    values = samples.typed((torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)), model)
    assert [one.dtype for one in values] == [torch.bfloat16, torch.int64]
    assert {one.device.type for one in values} == {"cpu"}
