"""Samples of data for a checkup: images with their own labels, the same for the same seed."""

import numpy as np
import pytest

from fanin.errors import FaninError
from fanin.lab.data import samples
from fanin.lab.data.sources import load


def test_images_come_with_their_own_labels() -> None:
    data = load("digits")
    sample = samples.examples(data, 16, 3)
    assert (sample.described, sample.chance) == ("16 images of digits", "")
    values, labels = sample.values, sample.targets
    assert isinstance(values, np.ndarray)
    assert labels is not None
    assert (values.shape, values.dtype, labels.dtype) == ((16, 1, 28, 28), np.float32, np.int64)
    for value, label in zip(values, labels.tolist(), strict=True):
        same = np.flatnonzero((data.inputs == value).all(axis=(1, 2, 3)))
        assert label in data.labels[same]
    assert np.array_equal(samples.examples(data, 16, 3).values, values)
    assert not np.array_equal(samples.examples(data, 16, 4).values, values)


@pytest.mark.parametrize("batch", [0, -1, 1797])
def test_a_batch_that_the_data_has_not(batch: int) -> None:
    with pytest.raises(FaninError, match=rf"batch is {batch}; digits has 1797 images"):
        samples.examples(load("digits"), batch, 0)
