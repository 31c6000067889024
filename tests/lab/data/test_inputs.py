import numpy as np
import pytest

from fanin import FaninError
from fanin.lab.data.inputs import read

RAW = np.arange(6 * 784).reshape(6, 28, 28) % 256
COLOR = np.random.default_rng(0).integers(0, 256, (6, 3, 20, 30))
COLOR[0, 0, 0, 0] = 255


@pytest.mark.parametrize("shape", [(6, 28, 28), (6, 28, 28, 1), (6, 1, 28, 28), (6, 784)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_layouts_that_hold_the_same_grey_images(shape: tuple[int, ...], dtype: type) -> None:
    found = read("x", [RAW.reshape(shape).astype(dtype)], flat_images=True)
    assert (found.kind, found.values.dtype) == ("images", np.float32)
    np.testing.assert_array_equal(found.values[:, 0], (RAW / 255).astype(np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_color_images_of_any_size_with_channels_first_or_last(dtype: type) -> None:
    first = read("x", [COLOR.astype(dtype)])
    last = read("x", [np.moveaxis(COLOR, 1, 3).astype(dtype)])
    assert first.note == "3 x 20 x 30; 0..255 scaled to 0..1"
    for found in (first, last):
        np.testing.assert_array_equal(found.values, (COLOR / 255).astype(np.float32))
        assert found.values.flags.c_contiguous


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 32, 32, 3), (3, 32, 32)),
        ((2, 3, 32, 32), (3, 32, 32)),
        ((2, 4, 4, 3), (3, 4, 4)),
        ((2, 4, 28, 28), (4, 28, 28)),
        ((2, 8, 8, 16), (16, 8, 8)),
        ((2, 16, 8, 8), (16, 8, 8)),
        ((2, 20, 30, 3), (3, 20, 30)),
        ((2, 3, 20, 30), (3, 20, 30)),
        ((2, 5, 5, 5), (5, 5, 5)),
        ((2, 1, 1, 3), (3, 1, 1)),
    ],
)
def test_which_axis_has_the_channels(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert read("x", [np.zeros(shape)]).values.shape[1:] == expected


@pytest.mark.parametrize(
    ("images", "highest", "note"),
    [
        (np.full((6, 28, 28), 255, np.uint8), 1.0, "0..255 scaled to 0..1"),
        (np.full((6, 28, 28), 255.0), 1.0, "0..255 scaled to 0..1"),
        (np.full((6, 28, 28), 0.5), 0.5, ""),
        (np.ones((6, 28, 28), bool), 1.0, ""),
        (np.linspace(-2, 2, 6 * 784).reshape(6, 28, 28), 2.0, "values from -2 to 2 used as stored"),
    ],
)
def test_pixels_are_scaled_by_their_values(images: np.ndarray, highest: float, note: str) -> None:
    found = read("x", [images])
    assert found.values.max() == highest
    assert found.note == note


def test_a_table_is_standardized_by_its_training_part() -> None:
    train = np.array([[0.0, 5, 1e9], [2, 5, 3e9], [4, 5, 5e9], [2, 5, 3e9]])
    test = np.array([[4.0, 7, 3e9]])
    found = read("x", [train, test])
    assert (found.kind, found.values.dtype) == ("table", np.float32)
    assert found.note == "3 features to mean 0, variance 1"
    np.testing.assert_allclose(found.values[:4].mean(0), 0, atol=1e-7)
    np.testing.assert_allclose(found.values[:4].std(0), [1, 0, 1], rtol=1e-6)
    np.testing.assert_allclose(found.values[4], [2**0.5, 0, 0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, bool])
def test_rows_of_real_numbers_are_a_table_of_any_width(dtype: type) -> None:
    for width in (1, 16, 784):
        assert read("x", [np.ones((6, width), dtype)]).kind == "table"


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint16])
def test_rows_of_whole_numbers_are_token_ids(dtype: type) -> None:
    ids = np.arange(12).reshape(6, 2).astype(dtype)
    found = read("x", [ids, ids[:3]])
    assert (found.kind, found.tokens, found.values.dtype) == ("tokens", 12, np.int64)
    np.testing.assert_array_equal(found.values, np.concatenate([ids, ids[:3]]))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 28, 28)), r"shape \(0, 28, 28\) and type float64"),
        (np.zeros(6), r"shape \(6,\) .* a table of floats \(n, features\)"),
        (np.zeros((6, 2, 2, 2, 2)), r"shape \(6, 2, 2, 2, 2\)"),
        (np.full((6, 28, 28), "a"), "type <U1. Use numbers: images"),
        (np.zeros((6, 3), complex), "type complex128"),
        (np.full((6, 28, 28), np.nan), "4704 NaN or infinite"),
        (np.full((6, 28, 28), 1e300), "NaN or infinite"),
        (np.array([[1, np.nan], [2, 3]]), r"inputs of shape \(2, 2\) hold 1 NaN"),
        (np.full((6, 28, 28), 4095), "whole numbers from 4095 to 4095"),
        (np.full((6, 5), -1), "from -1 to -1. Use 0 to 1048575; store floats if this is a table"),
        (np.full((6, 5), 2**40), "from 1099511627776 to"),
    ],
)
def test_arrays_that_are_nothing_of_this(array: np.ndarray, message: str) -> None:
    with pytest.raises(FaninError, match=f"^x: .*{message}"):
        read("x", [array])


def test_both_parts_have_one_size() -> None:
    for one, two in (((6, 28, 28), (6, 14, 14)), ((6, 5), (6, 4))):
        with pytest.raises(FaninError, match="training and test inputs differ in size"):
            read("x", [np.zeros(one), np.zeros(two)])
