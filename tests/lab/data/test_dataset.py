import numpy as np
import pytest

from fanin import FaninError
from fanin.lab.data.dataset import Dataset, pack, split

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
    ("labels", "message"),
    [
        (LABELS[:5], "6 images with 5 labels"),
        (LABELS * 0, "one class"),
        (LABELS + 0.5, "not class numbers.*the task is regression"),
        (np.full(6, np.inf), "not class numbers"),
        (np.full((6, 3), 1), "not class numbers"),
        (LABELS.astype(str), "not class numbers"),
    ],
)
def test_malformed_labels(labels: np.ndarray, message: str) -> None:
    with pytest.raises(FaninError, match=f"^x.*{message}"):
        pack("x", "", (np.zeros((6, 28, 28)), labels))


@pytest.mark.parametrize(
    ("inputs", "unit", "shape", "tokens"),
    [
        (np.zeros((6, 9, 7, 3)), "images", (3, 9, 7), 0),
        (np.zeros((6, 5)), "rows", (5,), 0),
        (np.arange(30).reshape(6, 5), "sequences", (5,), 30),
    ],
)
def test_the_form_that_a_network_needs(
    inputs: np.ndarray, unit: str, shape: tuple[int, ...], tokens: int
) -> None:
    data = pack("x", "", (inputs, LABELS))
    assert (data.unit, data.form.shape, data.form.tokens) == (unit, shape, tokens)
    assert data.form.outputs == 3
    numbers = pack("x", "", (inputs, np.random.default_rng(0).random((6, 2))), task="regression")
    assert (numbers.form.outputs, numbers.classes, numbers.labels.dtype) == (2, 0, np.float32)
    with pytest.raises(FaninError, match=rf"asks for 8 {unit}, but x holds 6"):
        split(data, 5, 3, 1, 0)
