"""Small MNIST images in batches, each seed's in an order of its own."""

from collections.abc import Sequence

import torch
from torch import nn

from fanin.lab.data import sources
from fanin.lab.data.dataset import split
from fanin.studies.transformers._stacked import StepBatch

TRAIN, POOL = 4000, 4  # images; 28 x 28 pixels to 7 x 7
INPUTS, CLASSES = 49, 10
IMAGES_TOLD = "MNIST (4,000 images, 7 x 7 pixels)"


def make_batches(seeds: Sequence[int], steps: int, size: int) -> StepBatch:
    """Batches (size, 49) of mean 0 and variance 1 over all pixels, and their labels, by step."""
    data = sources.load("mnist")
    inputs = nn.functional.avg_pool2d(torch.from_numpy(data.inputs), POOL).flatten(1)
    inputs = (inputs - inputs.mean()) / inputs.std()
    labels = torch.from_numpy(data.labels)
    epochs = -(-steps * size // TRAIN)
    orders = {
        seed: torch.from_numpy(split(data, TRAIN, 0, epochs, seed).order).flatten()
        for seed in seeds
    }

    def batch(step: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = orders[seed][step * size : (step + 1) * size]
        return inputs[chosen], labels[chosen]

    return batch
