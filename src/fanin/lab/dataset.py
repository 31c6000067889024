"""A data set in the form that the lab's networks read, and its split for one seed."""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fanin.errors import FaninError
from fanin.streams import Stream

SIDE = 28
NUMBERS = "buif"  # the kinds of NumPy type that images and labels may have


@dataclass(frozen=True, eq=False)
class Dataset:
    """Grey images (n, 1, 28, 28) in float32, with labels 0 .. classes - 1, int64 (n,).

    For regression `classes` is 0 and the labels are numbers, float32 (n, k), each column with
    mean 0 and variance 1 over the training part. The last `own_test` images are the test part
    that the data came with; 0 means one common pool. `note` says in one sentence where the
    images come from and what was done to them.
    """

    name: str
    note: str
    images: NDArray[np.float32]
    labels: NDArray[Any]
    classes: int
    own_test: int = 0

    @property
    def outputs(self) -> int:
        """How many numbers a network must return for an image."""
        return self.classes or int(self.labels.shape[1])

    @cached_property
    def digest(self) -> str:
        """A hash of the images and labels."""
        found = hashlib.sha256(f"{self.images.shape} {self.labels.shape} {self.own_test}".encode())
        for array in (self.images, self.labels):
            found.update(array.tobytes())
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class Split:
    """For one seed: the training images in their order, (epochs, train), and the test images."""

    seed: int
    order: NDArray[np.int64]
    test: NDArray[np.int64]


def split(data: Dataset, train: int, test: int, epochs: int, seed: int) -> Split:
    """Choose and order the images for one seed: a function of the seed, not of the initializer."""
    count = len(data.labels)
    if data.own_test:
        trainable = count - data.own_test
        _check_enough(data.name, "train", train, trainable)
        _check_enough(data.name, "test", test, data.own_test)
        chosen = _shuffled(trainable, seed, "lab/train")[:train]
        held_out = trainable + _shuffled(data.own_test, seed, "lab/test")[:test]
    else:
        _check_enough(data.name, "train + test", train + test, count)
        pool = _shuffled(count, seed, "lab/pool")
        # From both ends: another number of training images leaves the test images as they are.
        chosen, held_out = pool[:train], pool[count - test :]
    order = [chosen[_shuffled(train, seed, f"lab/epoch/{epoch}")] for epoch in range(epochs)]
    return Split(seed, np.stack(order), held_out)


def pack(
    name: str,
    note: str,
    *parts: tuple[NDArray[Any], NDArray[Any]],
    task: str = "classification",
) -> Dataset:
    """Check and convert raw (images, labels) parts: (pool,) or (training part, test part)."""
    as_labels = _as_numbers if task == "regression" else _as_labels
    images = [_as_images(name, part[0]) for part in parts]
    labels = [as_labels(name, part[1]) for part in parts]
    for pixels, targets in zip(images, labels, strict=True):
        if len(pixels) != len(targets):
            raise FaninError(
                f"{name} holds {len(pixels)} images with {len(targets)} labels. "
                "Store one label for each image."
            )
    sizes = {array.shape[1:] for array in images}
    if len(sizes) > 1:
        raise FaninError(f"{name}: training and test images differ in size. Store one size.")
    pixels, scaling = _scaled(name, np.concatenate(images))
    pixels, resizing = _resized(pixels)
    note = "; ".join(filter(None, [note, scaling, resizing]))
    own_test = len(labels[1]) if len(labels) == 2 else 0
    if task == "regression":
        numbers, note = _standardized(name, labels), f"{note}; labels to mean 0, variance 1"
        return Dataset(name, note, pixels[:, None], numbers, 0, own_test)
    classes, targets = np.unique(np.concatenate(labels), return_inverse=True)
    if len(classes) < 2:
        raise FaninError(f"{name} holds labels of one class alone. Use two classes or more.")
    return Dataset(name, note, pixels[:, None], targets.astype(np.int64), len(classes), own_test)


def _check_enough(name: str, what: str, wanted: int, held: int) -> None:
    if wanted > held:
        raise FaninError(
            f"{what} asks for {wanted} images, but {name} holds {held}. Ask for {held} or fewer."
        )


def _shuffled(count: int, seed: int, name: str) -> NDArray[np.int64]:
    """A permutation of 0 .. count - 1 from fanin's own stream, so the same with every NumPy."""
    order: NDArray[np.int64] = np.argsort(Stream(seed, name).words(count), kind="stable")
    return order


def _as_images(name: str, array: NDArray[Any]) -> NDArray[np.float32]:
    """Any common layout to (n, height, width)."""
    if array.dtype.kind not in NUMBERS:
        raise FaninError(f"{name}: images of type {array.dtype} are not numbers. Store numbers.")
    shape = array.shape
    if array.ndim == 4 and 1 in (shape[1], shape[3]):
        array = array.reshape(shape[0], *(shape[1:3] if shape[3] == 1 else shape[2:4]))
    elif array.ndim == 2 and math.isqrt(shape[1]) ** 2 == shape[1]:
        array = array.reshape(shape[0], math.isqrt(shape[1]), math.isqrt(shape[1]))
    if array.ndim != 3 or 0 in array.shape or max(array.shape[1:]) > SIDE:
        raise FaninError(
            f"{name}: images have shape {shape}. Use grey images of at most {SIDE} x {SIDE}: "
            "(n, h, w), (n, h, w, 1), (n, 1, h, w) or flat squares (n, h * h)."
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        images = array.astype(np.float32)
    if not np.isfinite(images).all():
        raise FaninError(f"{name}: images hold NaN or infinite values. Store finite numbers.")
    return images


def _as_labels(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers (n,) or (n, 1), or one-hot rows (n, classes), to (n,)."""
    if array.dtype.kind in NUMBERS and np.isfinite(array).all():
        if array.ndim == 2 and array.shape[1] > 1:
            if np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all():
                return np.asarray(array.argmax(axis=1))
        elif array.ndim in (1, 2) and (array == np.floor(array)).all():
            return array.reshape(-1)
    raise FaninError(
        f"{name}: labels of type {array.dtype} and shape {array.shape} are not class numbers. "
        "Use whole numbers of shape (n,), or one-hot rows (n, classes)."
    )


def _as_numbers(name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers (n,) or (n, k), to (n, k)."""
    if array.dtype.kind not in NUMBERS or array.ndim not in (1, 2) or array.size == 0:
        raise FaninError(
            f"{name}: labels of type {array.dtype} and shape {array.shape} are not numbers to "
            "predict. Use numbers of shape (n,) or (n, k)."
        )
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise FaninError(f"{name}: labels hold NaN or infinite values. Store finite numbers.")
    return numbers.reshape(len(numbers), -1)


def _standardized(name: str, labels: list[NDArray[np.float64]]) -> NDArray[np.float32]:
    if len({part.shape[1] for part in labels}) > 1:
        raise FaninError(f"{name}: training and test labels differ in width. Store one width.")
    mean, deviation = labels[0].mean(axis=0), labels[0].std(axis=0)
    if not (deviation > 0).all():
        raise FaninError(f"{name}: a column of the labels is constant. Leave it out.")
    numbers = (np.concatenate(labels) - mean) / deviation
    return np.asarray(numbers, np.float32)


def _scaled(name: str, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Pixels to [0, 1]: by their values, not by their type, so that a float copy reads alike."""
    low, high = images.min(), images.max()
    if low >= 0 and high <= 1:
        return images, ""
    are_whole = bool((images == np.floor(images)).all())
    if are_whole and low >= 0 and high <= 255:
        return images / np.float32(255), "0..255 scaled to 0..1"
    if are_whole and high > 255:
        raise FaninError(
            f"{name}: images hold whole numbers from {low:.0f} to {high:.0f}. "
            "Store 0 to 255, or scale them to 0 to 1."
        )
    # Standardized by their owner, who knows better than we do.
    return images, f"values from {low:.3g} to {high:.3g} used as stored"


def _resized(images: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    height, width = images.shape[1:]
    if (height, width) == (SIDE, SIDE):
        return images, ""
    pixels = torch.from_numpy(images)[:, None]
    pixels = torch.nn.functional.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear")
    return pixels[:, 0].numpy(), f"resized from {height}x{width} to {SIDE}x{SIDE} (bilinear)"
