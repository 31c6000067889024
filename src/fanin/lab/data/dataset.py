"""A data set in the form that the lab's networks read, and its split for one seed."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fanin.errors import FaninError
from fanin.lab.data import inputs as reading
from fanin.lab.data.form import DataForm
from fanin.lab.data.inputs import InputKind
from fanin.lab.data.labels import as_classes, as_numbers, standardize
from fanin.streams import Stream

UNITS: dict[InputKind, str] = {"images": "images", "table": "rows", "tokens": "sequences"}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs of one kind with labels 0 .. classes - 1, int64 (n,).

    Images are float32 (n, channels, height, width), a table float32 (n, features), and token ids,
    of which there are `tokens`, int64 (n, length). For regression `classes` is 0 and the labels are
    numbers, float32 (n, k), each column with mean 0 and variance 1 over the training part. The last
    `own_test` inputs are the test part that the data came with; 0 means one common pool. `note`
    says in one sentence where the inputs come from and what was done to them.
    """

    name: str
    note: str
    inputs: NDArray[Any]
    labels: NDArray[Any]
    classes: int
    own_test: int = 0
    kind: InputKind = "images"
    tokens: int = 0

    @property
    def outputs(self) -> int:
        """How many numbers a network must return for an input."""
        return self.classes or int(self.labels.shape[1])

    @property
    def form(self) -> DataForm:
        """What a network for these data reads and returns."""
        return DataForm(self.outputs, self.kind, self.inputs.shape[1:], self.tokens)

    @property
    def unit(self) -> str:
        """What its inputs are called: images, rows or sequences."""
        return UNITS[self.kind]

    @cached_property
    def digest(self) -> str:
        """A hash of the inputs and labels."""
        found = hashlib.sha256(f"{self.inputs.shape} {self.labels.shape} {self.own_test}".encode())
        for array in (self.inputs, self.labels):
            found.update(array.tobytes())
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class Split:
    """For one seed: the training inputs in their order, (epochs, train), and the test inputs."""

    seed: int
    order: NDArray[np.int64]
    test: NDArray[np.int64]


def split(data: Dataset, train: int, test: int, epochs: int, seed: int) -> Split:
    """Choose and order the inputs for one seed: a function of the seed, not of the initializer."""
    count = len(data.labels)
    if data.own_test:
        trainable = count - data.own_test
        _check_enough(data, "train", train, trainable)
        _check_enough(data, "test", test, data.own_test)
        chosen = _shuffle(trainable, seed, "lab/train")[:train]
        held_out = trainable + _shuffle(data.own_test, seed, "lab/test")[:test]
    else:
        _check_enough(data, "train + test", train + test, count)
        pool = _shuffle(count, seed, "lab/pool")
        # From both ends: another number of training inputs leaves the test inputs as they are.
        chosen, held_out = pool[:train], pool[count - test :]
    order = [chosen[_shuffle(train, seed, f"lab/epoch/{epoch}")] for epoch in range(epochs)]
    return Split(seed, np.stack(order), held_out)


def pack(
    name: str,
    note: str,
    *parts: tuple[NDArray[Any], NDArray[Any]],
    task: str = "classification",
    flat_images: bool = False,
) -> Dataset:
    """Check and convert raw (inputs, labels) parts: (pool,) or (training part, test part).

    With `flat_images` rows of h * h numbers are square images.
    """
    found = reading.read(name, [part[0] for part in parts], flat_images)
    as_labels = as_numbers if task == "regression" else as_classes
    labels = [as_labels(name, part[1]) for part in parts]
    for (values, _), targets in zip(parts, labels, strict=True):
        if len(values) != len(targets):
            raise FaninError(
                f"{name} holds {len(values)} {UNITS[found.kind]} with {len(targets)} labels. "
                "Store one label for each."
            )
    note = "; ".join(filter(None, [note, found.note]))
    own_test = len(labels[1]) if len(labels) == 2 else 0
    if task == "regression":
        targets, classes = standardize(name, labels), 0
        note += "; labels to mean 0, variance 1"
    else:
        known, places = np.unique(np.concatenate(labels), return_inverse=True)
        targets, classes = places.astype(np.int64), len(known)
        if classes < 2:
            raise FaninError(f"{name} holds labels of one class alone. Use two classes or more.")
    return Dataset(name, note, found.values, targets, classes, own_test, found.kind, found.tokens)


def _check_enough(data: Dataset, what: str, wanted: int, held: int) -> None:
    if wanted > held:
        raise FaninError(
            f"{what} asks for {wanted} {data.unit}, but {data.name} holds {held}. Ask for {held} "
            "or fewer."
        )


def _shuffle(count: int, seed: int, name: str) -> NDArray[np.int64]:
    """A permutation of 0 .. count - 1 from fanin's own stream, so the same with every NumPy."""
    order: NDArray[np.int64] = np.argsort(Stream(seed, name).words(count), kind="stable")
    return order
