"""What trials share, and a trial's specification: all that decides what it will come to."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")
LOSSES = ("cross_entropy", "quadratic")
TASKS = ("classification", "regression")
CHECKPOINTS = 5
POINTS = 200


@dataclass(frozen=True)
class TrialSetup:
    """Data, network and training, without the initializer, the seed and the learning rate."""

    data: str
    task: str
    train: int
    test: int
    epochs: int
    batch_size: int
    model: str
    activation: str
    depth: int | None
    loss: str
    optimizer: str
    clip_value: float | None
    clip_norm: float | None

    @property
    def steps(self) -> int:
        """Training steps of one run; the last batch of an epoch may be smaller."""
        return self.epochs * math.ceil(self.train / self.batch_size)

    @property
    def window(self) -> int:
        """Steps in the running mean of the training loss: those that hold 100 inputs."""
        return min(self.steps, math.ceil(100 / self.batch_size))

    @property
    def checkpoints(self) -> list[int]:
        """The steps after which the network is tested: evenly spaced, the last one included."""
        return sorted({math.ceil(self.steps * k / CHECKPOINTS) for k in range(1, CHECKPOINTS + 1)})

    @property
    def curve_steps(self) -> list[int]:
        """The steps, at most `POINTS`, at which reports show the running mean of the loss."""
        first, last = self.window, self.steps
        count = min(POINTS, last - first + 1)
        if count == 1:
            return [last]
        return [first + round(k * (last - first) / (count - 1)) for k in range(count)]


@dataclass(frozen=True)
class TrialSpec:
    """One trial: its setup, the initialization as the user named it, seed and learning rate."""

    setup: TrialSetup
    initialization: str
    seed: int
    lr: float

    def key(self, context: Mapping[str, str]) -> str:
        """A hash of everything that decides the trial.

        `context` has what a name alone does not say: the contents of the data, of a plan's file
        and of a factory's source, versions, the kind of device.
        """
        text = json.dumps([asdict(self), dict(context)], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()
