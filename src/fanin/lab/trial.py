"""A trial: one network trained from one seed, and what came of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fanin.lab.dataset import Dataset, Split
from fanin.lab.settings import Settings
from fanin.lab.stack import Stack

CHECKPOINTS = 5
POINTS = 200
# A network that knows the classes' frequencies and nothing else stays near ln C. Its running mean
# of 100 losses strays by some hundredths; a network that learns anything is soon far below.
STUCK_MARGIN = 0.1

Verdict = Literal["learned", "stuck", "diverged"]


@dataclass(frozen=True, eq=False)
class Trial:
    """The training loss at every step, the test accuracy at every checkpoint, and the verdict."""

    seed: int
    losses: NDArray[np.float32]
    accuracies: tuple[float, ...]
    verdict: Verdict
    steps_to_target: int | None

    def curve(self, settings: Settings) -> NDArray[np.float64]:
        """The running mean of the training loss at `curve_steps`."""
        return running_mean(self.losses, settings.window)[curve_steps(settings) - settings.window]

    @property
    def accuracy(self) -> float:
        """Test accuracy at the end of training."""
        return self.accuracies[-1]

    @property
    def failed(self) -> bool:
        """Whether the training diverged or stayed no better than guessing."""
        return self.verdict != "learned"


def checkpoints(steps: int) -> list[int]:
    """The steps after which test accuracy is measured: evenly spaced, the last one included."""
    return sorted({math.ceil(steps * k / CHECKPOINTS) for k in range(1, CHECKPOINTS + 1)})


def curve_steps(settings: Settings) -> NDArray[np.int64]:
    """The steps, at most `POINTS`, at which reports show the running mean of the loss."""
    count = min(POINTS, settings.steps - settings.window + 1)
    return np.linspace(settings.window, settings.steps, count).round().astype(np.int64)


def train(
    models: Sequence[nn.Module],
    splits: Sequence[Split],
    data: Dataset,
    settings: Settings,
    advance: Callable[[int], object] = lambda steps: None,
) -> list[Trial]:
    """Train all models together, each on its own split; `advance` hears of the steps taken."""
    stack = Stack(models, settings.lr)
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    orders = torch.from_numpy(np.stack([split.order for split in splits]))
    tests = [torch.from_numpy(split.test) for split in splits]
    measured_after = checkpoints(settings.steps)
    losses, accuracies = [], []
    for epoch in orders.unbind(dim=1):
        for batch in torch.split(epoch, settings.batch_size, dim=1):
            losses.append(stack.step(images[batch], labels[batch]))
            advance(len(models))
            if len(losses) in measured_after:
                accuracies.append(
                    [stack.accuracy(i, images[test], labels[test]) for i, test in enumerate(tests)]
                )
    curves = torch.stack(losses, dim=1).numpy()
    return [
        _judged(split.seed, curve, history, data.classes, settings)
        for split, curve, history in zip(splits, curves, zip(*accuracies, strict=True), strict=True)
    ]


def _judged(
    seed: int,
    losses: NDArray[np.float32],
    accuracies: tuple[float, ...],
    classes: int,
    settings: Settings,
) -> Trial:
    means = running_mean(losses, settings.window)
    reached = np.flatnonzero(means <= settings.target_loss)
    return Trial(
        seed=seed,
        losses=losses,
        accuracies=accuracies,
        verdict=_verdict(losses, float(means[-1]), classes),
        steps_to_target=settings.window + int(reached[0]) if len(reached) else None,
    )


def _verdict(losses: NDArray[np.float32], final: float, classes: int) -> Verdict:
    if not np.isfinite(losses).all():
        return "diverged"
    return "stuck" if final > math.log(classes) - STUCK_MARGIN else "learned"


def running_mean(losses: NDArray[np.float32], window: int) -> NDArray[np.float64]:
    """Means over `window` neighbours: entry k covers steps k + 1 .. k + window."""
    windows = np.lib.stride_tricks.sliding_window_view(losses, window)
    return np.asarray(windows.mean(axis=-1, dtype=np.float64))
