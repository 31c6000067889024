"""A result: what a comparison measured, row by row, and how its rows differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from fanin.lab.depth import DepthRow
from fanin.lab.rates import Rate
from fanin.lab.settings import CompareSettings
from fanin.lab.statistics.family import ComparisonFamily
from fanin.lab.statistics.statistics import Interval, share_interval
from fanin.lab.training.trial import Trial

TARGET = 0.5  # of cross-entropy; of the quadratic loss it is this share of guessing


@dataclass(frozen=True, eq=False)
class ResultRow:
    """One initializer with its trials, one for each seed, and its learning rate."""

    name: str
    trials: tuple[Trial, ...]
    target: float
    rate: Rate

    @cached_property
    def score(self) -> Interval:
        """Mean test score over all trials, the failed ones included."""
        return share_interval([trial.score for trial in self.trials])

    @property
    def failed(self) -> int:
        """How many trials diverged, met NaN or stayed stuck."""
        return sum(trial.failed for trial in self.trials)

    @property
    def failures(self) -> dict[str, int]:
        """How many trials failed in each way."""
        verdicts = [trial.verdict for trial in self.trials if trial.failed]
        return {kind: verdicts.count(kind) for kind in dict.fromkeys(sorted(verdicts))}

    @property
    def steps_to_target(self) -> list[int]:
        """Steps to the target loss of the trials that reached it."""
        steps = [trial.steps_to(self.target) for trial in self.trials]
        return [step for step in steps if step is not None]

    @property
    def mean_steps(self) -> float | None:
        """Mean steps to the target loss, all steps for a trial that did not reach it.

        None where none did.
        """
        steps = [trial.steps_to(self.target) or len(trial.losses) for trial in self.trials]
        return fmean(steps) if self.steps_to_target else None


@dataclass(frozen=True, eq=False)
class Result:
    """What a `Comparison` holds, apart from what prints and saves it; its fields are told there."""

    settings: CompareSettings
    rows: tuple[ResultRow, ...]
    note: str
    guess: float
    target: float
    versions: Mapping[str, str]
    run: Mapping[str, Any]
    how: tuple[str, ...] = ()
    depths: tuple[DepthRow, ...] = ()
    done: float = 1.0
    unit: str = "images"

    @cached_property
    def scores(self) -> ComparisonFamily:
        """The paired comparisons of the final test score."""
        name = "R²" if self.settings.task == "regression" else "test accuracy"
        values = {row.name: {t.seed: t.score for t in row.trials} for row in self.rows}
        return ComparisonFamily(name, True, values, self.settings.baseline)

    @cached_property
    def steps(self) -> ComparisonFamily:
        """Those of the steps to the target loss; a run that never got there counts in full."""
        values = {
            row.name: {t.seed: float(t.steps_to(self.target) or len(t.losses)) for t in row.trials}
            for row in self.rows
        }
        return ComparisonFamily("steps to target", False, values, self.settings.baseline)

    @property
    def best(self) -> ResultRow:
        """The row with the highest mean score."""
        return next(row for row in self.rows if row.name == self.scores.best)

    @property
    def ranked(self) -> list[ResultRow]:
        """The rows, that of the highest mean score first."""
        return sorted(self.rows, key=lambda row: -row.score.mean)
