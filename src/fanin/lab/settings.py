"""The settings of a comparison: the one place of their defaults and of the checks on them."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from fanin.errors import FaninError
from fanin.streams import check_seed

INITIALIZERS = (
    "uniform(-0.5, 0.5)",
    "torch",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "glorot_then_he",
)


@dataclass(frozen=True)
class Settings:
    """What to train. This file imports no library, so that `--help` can print the defaults."""

    initializers: Sequence[str] = INITIALIZERS
    seeds: int = 8
    first_seed: int = 0
    data: str = "mnist"
    train: int = 1000
    test: int = 1000
    epochs: int = 5
    batch_size: int = 1
    lr: float = 0.001
    target_loss: float = 0.5

    def __post_init__(self) -> None:
        for name in ("seeds", "train", "test", "epochs", "batch_size"):
            _check_count(name, getattr(self, name))
        for name in ("lr", "target_loss"):
            _check_positive(name, getattr(self, name))
        check_seed(self.first_seed)
        if self.first_seed + self.seeds > 2**64:
            raise FaninError(
                f"first seed {self.first_seed} and {self.seeds} seeds pass the largest seed, "
                f"2**64 - 1. Start at {2**64 - self.seeds} or below."
            )
        if self.batch_size > self.train:
            raise FaninError(
                f"batch_size={self.batch_size} is larger than train={self.train}. "
                f"Use a batch of {self.train} images or fewer."
            )
        _check_initializers(self.initializers)
        if not self.data:
            raise FaninError("data is an empty name. Use mnist, digits, fashion or an .npz file.")

    @property
    def all_seeds(self) -> range:
        """The seeds, each of which every initializer meets once."""
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def steps(self) -> int:
        """Training steps of one run; the last batch of an epoch may be smaller."""
        return self.epochs * math.ceil(self.train / self.batch_size)

    @property
    def window(self) -> int:
        """Steps in the running mean of the training loss: those that hold 100 images."""
        return min(self.steps, math.ceil(100 / self.batch_size))

    @property
    def command(self) -> str:
        """The shell command that repeats this comparison."""
        flags = {
            "--initializers": self.initializers,
            "--seeds": [self.seeds],
            "--seed": [self.first_seed],
            "--data": [self.data],
            "--train": [self.train],
            "--test": [self.test],
            "--epochs": [self.epochs],
            "--batch-size": [self.batch_size],
            "--lr": [self.lr],
            "--target-loss": [self.target_loss],
        }
        words = [word for flag, values in flags.items() for word in (flag, *map(str, values))]
        return shlex.join(["fanin", "compare", *words])


def _check_count(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise FaninError(f"{name} is {value!r}. Use a whole number of 1 or more.")


def _check_positive(name: str, value: float) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise FaninError(f"{name} is {value!r}. Use a finite number above 0.")


def _check_initializers(names: Sequence[str]) -> None:
    if isinstance(names, str) or not names or not all(isinstance(name, str) for name in names):
        raise FaninError(f"initializers is {names!r}. Use a list of one or more names.")
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise FaninError(f"initializers names {repeated[0]!r} more than once. Name it once.")
