"""An architecture of the trial: how it is built, what it learns from what, and its half."""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.starts.data import Data
from bench.starts.objectives import Objective

EXAMPLE = 0  # the seed of the batch that starts see


@dataclass(frozen=True)
class Architecture:
    """`build` makes the model as its constructor draws it, from torch's generator."""

    name: str
    build: Callable[[], nn.Module]
    load: Callable[[], Data]
    objective: Objective
    batch: int = 16

    @property
    def half(self) -> str:
        """`first`, on which rules are tuned, or `second`, which is judged once."""
        return ("first", "second")[self.number % 2]

    @property
    def optimizers(self) -> tuple[str, ...]:
        """AdamW, and SGD with momentum for a third."""
        return ("adamw", "sgd") if self.number // 2 % 3 == 0 else ("adamw",)

    @property
    def number(self) -> int:
        """A hash of the name: half, optimizers and order are its."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:8], "big")

    @functools.cached_property
    def data(self) -> Data:
        return self.load()

    @functools.cached_property
    def chance(self) -> float:
        """The figure of an answer that does not look at the inputs."""
        return self.objective.chance(self.data)

    def draw_batch(self, generator: torch.Generator) -> tuple[tuple[Tensor, ...], Tensor]:
        """Inputs and targets of rows by chance."""
        inputs, targets = self.data
        rows = torch.randint(len(targets), (self.batch,), generator=generator)
        return tuple(one[rows] for one in inputs), targets[rows]

    @functools.cached_property
    def example(self) -> tuple[Tensor, ...]:
        """The inputs that starts may look at."""
        return self.draw_batch(torch.Generator().manual_seed(EXAMPLE))[0]
