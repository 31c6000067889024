"""A comparison: the same network trained from several initializations, on paired seeds."""

import platform
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.table import Table

import fanin
from fanin.lab import recipes, report, summary
from fanin.lab.dataset import Dataset, Split, split
from fanin.lab.files import write_files
from fanin.lab.networks import SmallConvNet
from fanin.lab.progress import progress
from fanin.lab.recipes import Recipe
from fanin.lab.settings import Settings
from fanin.lab.sources import load
from fanin.lab.stack import one_thread
from fanin.lab.statistics import Interval, mean_interval
from fanin.lab.trial import Trial, train

# Bounds the memory of a step. Beyond it a larger stack is no faster.
IMAGES_IN_A_STEP = 512


@dataclass(frozen=True, eq=False)
class Row:
    """One initializer with its trials, one for each seed."""

    name: str
    trials: tuple[Trial, ...]

    @cached_property
    def accuracy(self) -> Interval:
        """Mean test accuracy over all trials, the failed ones included."""
        return mean_interval([trial.accuracy for trial in self.trials])

    @property
    def failed(self) -> int:
        """How many trials diverged or stayed stuck."""
        return sum(trial.failed for trial in self.trials)

    @property
    def steps_to_target(self) -> list[int]:
        """Steps to the target loss of the trials that reached it."""
        return [t.steps_to_target for t in self.trials if t.steps_to_target is not None]

    @property
    def median_steps(self) -> float | None:
        """Median steps to the target loss; None where no trial reached it."""
        return median(self.steps_to_target) if self.steps_to_target else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """All rows of a comparison, with what is needed to read and to repeat it."""

    settings: Settings
    rows: tuple[Row, ...]
    note: str
    classes: int
    versions: dict[str, str]
    seconds: float

    @property
    def best(self) -> Row:
        """The row with the highest mean test accuracy."""
        return max(self.rows, key=lambda row: row.accuracy.mean)

    @property
    def rivals(self) -> list[Row]:
        """The other rows whose interval overlaps the best row's: not told apart by this run."""
        best = self.best
        return [r for r in self.rows if r is not best and r.accuracy.overlaps(best.accuracy)]

    def table(self) -> Table:
        """The result as a table for the terminal."""
        return summary.table(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write report.html and results.json into `folder`, both or none; return their paths."""
        contents = {"report.html": report.html(self), "results.json": report.json_text(self)}
        return write_files(Path(folder), contents)


def compare(
    initializers: Sequence[str] = Settings.initializers,
    *,
    seeds: int = Settings.seeds,
    first_seed: int = Settings.first_seed,
    data: str = Settings.data,
    train: int = Settings.train,
    test: int = Settings.test,
    epochs: int = Settings.epochs,
    batch_size: int = Settings.batch_size,
    lr: float = Settings.lr,
    target_loss: float = Settings.target_loss,
    progress: bool = False,
) -> Comparison:
    """Train one network from several initializations, each from the same seeds, and compare.

    `initializers` are names (`he_normal`), expressions (`uniform(-0.5, 0.5)`), `torch` (PyTorch's
    own default) or `glorot_then_he`. A seed fixes the split, the order of the training images and
    the weights; the first two are the same for every initializer. `progress` shows a bar on stderr.
    """
    settings = Settings(
        initializers=initializers,
        seeds=seeds,
        first_seed=first_seed,
        data=data,
        train=train,
        test=test,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        target_loss=target_loss,
    )
    return _run(settings, show_progress=progress)


def _run(settings: Settings, show_progress: bool) -> Comparison:
    start = time.perf_counter()
    chosen = [recipes.find(name) for name in settings.initializers]
    data = load(settings.data)
    splits = [
        split(data, settings.train, settings.test, settings.epochs, seed)
        for seed in settings.all_seeds
    ]
    models = [_model(recipe, data, seed) for recipe in chosen for seed in settings.all_seeds]
    bar: AbstractContextManager[Callable[[int], object]] = nullcontext(lambda steps: None)
    if show_progress:
        label = f"training {len(chosen)} x {settings.seeds} networks"
        bar = progress(label, len(models) * settings.steps)
    with bar as advance, one_thread():
        trials = _train(models, splits * len(chosen), data, settings, advance)
    seeds = settings.seeds
    return Comparison(
        settings=settings,
        rows=tuple(
            Row(name, tuple(trials[i * seeds : (i + 1) * seeds]))
            for i, name in enumerate(settings.initializers)
        ),
        note=data.note,
        classes=data.classes,
        versions=_versions(),
        seconds=time.perf_counter() - start,
    )


def _train(
    models: list[SmallConvNet],
    splits: list[Split],
    data: Dataset,
    settings: Settings,
    advance: Callable[[int], object],
) -> list[Trial]:
    """Train in as few stacks as memory allows: one, unless there are many trials."""
    size = max(1, IMAGES_IN_A_STEP // settings.batch_size)
    trials: list[Trial] = []
    for first in range(0, len(models), size):
        part = slice(first, first + size)
        trials += train(models[part], splits[part], data, settings, advance)
    return trials


def _model(recipe: Recipe, data: Dataset, seed: int) -> SmallConvNet:
    # Built without memory or draws of its own: the recipe writes every parameter.
    with torch.device("meta"):
        model = SmallConvNet(data.classes)
    model.to_empty(device="cpu")
    recipe.initialize(model, seed)
    return model


def _versions() -> dict[str, str]:
    return {
        "fanin": fanin.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }
