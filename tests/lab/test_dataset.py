import numpy as np
import pytest

from fanin import FaninError
from fanin.lab.dataset import Dataset, pack, split

LABELS = np.arange(6) % 3


def pooled(count: int = 40) -> Dataset:
    return pack("pool", "", (np.zeros((count, 28, 28)), np.arange(count) % 2))


def test_a_pool_is_split_without_overlap() -> None:
    parts = split(pooled(), train=25, test=15, epochs=3, seed=7)
    assert parts.order.shape == (3, 25)
    assert len({*parts.order[0], *parts.test}) == 40
    for epoch in parts.order:
        assert set(epoch) == set(parts.order[0])
    assert list(parts.order[0]) != list(parts.order[1])


def test_a_split_is_a_function_of_its_seed() -> None:
    first, again, other = (split(pooled(), 20, 10, 2, seed) for seed in (3, 3, 4))
    assert np.array_equal(first.order, again.order)
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


def test_more_training_images_leave_the_test_images_as_they_are() -> None:
    few, many = (split(pooled(), train, 10, 1, seed=1) for train in (5, 30))
    assert np.array_equal(few.test, many.test)
    assert set(few.order[0]) < set(many.order[0])


def test_own_test_images_are_kept_apart() -> None:
    images = np.zeros((30, 28, 28))
    data = pack("own", "", (images, np.arange(30) % 2), (images[:10], np.arange(10) % 2))
    parts = split(data, train=30, test=10, epochs=1, seed=0)
    assert set(parts.order[0]) == set(range(30))
    assert set(parts.test) == set(range(30, 40))
    with pytest.raises(FaninError, match="test asks for 11 images, but own holds 10"):
        split(data, 30, 11, 1, 0)


def test_more_images_than_the_pool_holds() -> None:
    with pytest.raises(FaninError, match=r"train \+ test asks for 41 images, but pool holds 40"):
        split(pooled(), 30, 11, 1, 0)


@pytest.mark.parametrize("shape", [(6, 28, 28), (6, 28, 28, 1), (6, 1, 28, 28), (6, 784)])
def test_layouts_that_hold_the_same_images(shape: tuple[int, ...]) -> None:
    raw = np.arange(6 * 784).reshape(6, 28, 28) % 256
    data = pack("x", "", (raw.reshape(shape), LABELS))
    assert data.images.dtype == np.float32
    np.testing.assert_array_equal(data.images[:, 0], (raw / 255).astype(np.float32))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array([3, 7, 3, 9, 7, 3]), [0, 1, 0, 2, 1, 0]),
        (np.array([[0], [1], [0], [1], [0], [1]], np.uint8), [0, 1, 0, 1, 0, 1]),
        (np.array([False, True] * 3), [0, 1, 0, 1, 0, 1]),
        (np.eye(3)[[2, 0, 1, 1, 0, 2]], [2, 0, 1, 1, 0, 2]),
    ],
)
def test_labels_become_class_numbers(labels: np.ndarray, expected: list[int]) -> None:
    data = pack("x", "", (np.zeros((6, 28, 28)), labels))
    assert data.labels.tolist() == expected
    assert data.classes == max(expected) + 1


@pytest.mark.parametrize(
    ("images", "highest", "note"),
    [
        (np.full((6, 28, 28), 255, np.uint8), 1.0, "0..255 scaled to 0..1"),
        (np.full((6, 28, 28), 255.0), 1.0, "0..255 scaled to 0..1"),
        (np.full((6, 28, 28), 0.5), 0.5, ""),
        (np.ones((6, 28, 28), bool), 1.0, ""),
        (np.linspace(-2, 2, 6 * 784).reshape(6, 784), 2.0, "values from -2 to 2 used as stored"),
    ],
)
def test_pixels_are_scaled_by_their_values(images: np.ndarray, highest: float, note: str) -> None:
    data = pack("x", "", (images, LABELS))
    assert data.images.max() == highest
    assert data.note == note


def test_small_images_are_resized_and_the_note_says_so() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 14), (6, 14, 14))
    data = pack("x", "ramps", (ramp, LABELS))
    assert data.images.shape == (6, 1, 28, 28)
    assert data.note == "ramps; resized from 14x14 to 28x28 (bilinear)"
    middle = data.images[0, 0, 0, 1:-1]
    np.testing.assert_allclose(np.diff(middle), 1 / 26, rtol=1e-4)  # stays a ramp


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((6, 32, 32)), LABELS, r"shape \(6, 32, 32\).*at most 28 x 28"),
        (np.zeros((6, 28, 28, 3)), LABELS, r"shape \(6, 28, 28, 3\)"),
        (np.zeros((6, 783)), LABELS, r"shape \(6, 783\)"),
        (np.zeros((0, 28, 28)), LABELS[:0], r"shape \(0, 28, 28\)"),
        (np.full((6, 28, 28), np.nan), LABELS, "NaN or infinite"),
        (np.full((6, 28, 28), 1e300), LABELS, "NaN or infinite"),
        (np.full((6, 28, 28), "a"), LABELS, "not numbers"),
        (np.full((6, 28, 28), 4095), LABELS, "whole numbers from 4095 to 4095"),
        (np.zeros((6, 28, 28)), LABELS[:5], "6 images with 5 labels"),
        (np.zeros((6, 28, 28)), LABELS * 0, "one class"),
        (np.zeros((6, 28, 28)), LABELS + 0.5, "not class numbers"),
        (np.zeros((6, 28, 28)), np.full(6, np.inf), "not class numbers"),
        (np.zeros((6, 28, 28)), np.full((6, 3), 1), "not class numbers"),
        (np.zeros((6, 28, 28)), LABELS.astype(str), "not class numbers"),
    ],
)
def test_malformed_arrays(images: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(FaninError, match=f"^x.*{message}"):
        pack("x", "", (images, labels))


def test_both_parts_have_one_size() -> None:
    parts = (np.zeros((6, 28, 28)), LABELS), (np.zeros((6, 14, 14)), LABELS)
    with pytest.raises(FaninError, match="training and test images differ in size"):
        pack("x", "", *parts)
