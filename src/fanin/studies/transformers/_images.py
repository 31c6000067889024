"""Small MNIST images in batches, each seed's in an order of its own, and those to test on."""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from fanin.lab.data import sources
from fanin.lab.data.dataset import Dataset, split
from fanin.studies.transformers._stacked import StepBatch

TRAIN, TEST, POOL = 4000, 1000, 4  # images; 28 x 28 pixels to 7 x 7
INPUTS, CLASSES = 49, 10
IMAGES_TOLD = "MNIST (4,000 images, 7 x 7 pixels)"


@cache
def load_images(pool: int) -> tuple[Dataset, Tensor, Tensor]:
    """The data, all pixels (n, 784 / pool**2) of mean 0 and variance 1, and the labels."""
    data = sources.load("mnist")
    inputs = nn.functional.avg_pool2d(torch.from_numpy(data.inputs), pool).flatten(1)
    return data, (inputs - inputs.mean()) / inputs.std(), torch.from_numpy(data.labels)


def make_batches(seeds: Sequence[int], steps: int, size: int, pool: int = POOL) -> StepBatch:
    """Batches of training images, (size, 784 / pool**2), and their labels, by step."""
    data, inputs, labels = load_images(pool)
    epochs = -(-steps * size // TRAIN)
    orders = {
        seed: torch.from_numpy(split(data, TRAIN, TEST, epochs, seed).order).flatten()
        for seed in seeds
    }

    def batch(step: int, seed: int) -> tuple[Tensor, Tensor]:
        chosen = orders[seed][step * size : (step + 1) * size]
        return inputs[chosen], labels[chosen]

    return batch


def cut_test(seed: int, pool: int = POOL) -> tuple[Tensor, Tensor]:
    """The images that a seed does not train on, and their labels."""
    data, inputs, labels = load_images(pool)
    chosen = torch.from_numpy(split(data, TRAIN, TEST, 1, seed).test)
    return inputs[chosen], labels[chosen]
