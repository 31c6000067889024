"""Text of every Python: its help on the language, as ranks of characters, in windows."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

VOCABULARY = 64  # the 63 most frequent characters; all others are 0
HELD_OUT = 10  # the last part of so many is not trained on


@cache
def read_text() -> Tensor:
    """The whole text, (N,)."""
    from pydoc_data.topics import topics

    characters = np.frombuffer("\n".join(topics[key] for key in sorted(topics)).encode(), np.uint8)
    ranks = np.zeros(256, np.int64)
    frequent = np.argsort(-np.bincount(characters, minlength=256), kind="stable")
    ranks[frequent[: VOCABULARY - 1]] = np.arange(1, VOCABULARY)
    return torch.from_numpy(ranks[characters])


def draw_batches(seed: int, steps: int, batch: int, length: int) -> Tensor:
    """Windows to train on, (steps, batch, length + 1), from places by chance."""
    text = read_text()
    end = len(text) * (HELD_OUT - 1) // HELD_OUT - length
    places = np.random.default_rng(seed).integers(0, end, (steps, batch, 1))
    return text[torch.from_numpy(places) + torch.arange(length + 1)]


def cut_held_out(count: int, length: int) -> Tensor:
    """Windows that are not trained on, (count, length + 1), evenly spaced."""
    text = read_text()
    start = len(text) * (HELD_OUT - 1) // HELD_OUT
    places = torch.linspace(start, len(text) - length - 1, count).long()
    return text[places[:, None] + torch.arange(length + 1)]
