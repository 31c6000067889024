"""The depth sweep: from which initializers training still starts, and down to which depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from fanin.lab.training.trial import Trial


@dataclass(frozen=True, eq=False)
class DepthRow:
    """One initializer's trials by depth, in ascending order."""

    name: str
    trials: dict[int, tuple[Trial, ...]]

    @property
    def starts_to(self) -> int | None:
        """The largest depth at which, as at all lower ones, half of the seeds learned or more."""
        reached = None
        for depth, trials in self.trials.items():
            if not trials or 2 * self.count_learned(depth) < len(trials):
                break
            reached = depth
        return reached

    def count_learned(self, depth: int) -> int:
        """How many of a depth's trials did not fail."""
        return sum(not trial.failed for trial in self.trials[depth])

    def score(self, depth: int) -> float:
        """The mean test score at a depth."""
        return fmean(trial.score for trial in self.trials[depth])


def deepest(rows: Sequence[DepthRow]) -> list[DepthRow]:
    """The rows whose training starts at the largest depth; none if no training starts."""
    reached = max((row.starts_to or 0 for row in rows), default=0)
    return [row for row in rows if reached and row.starts_to == reached]
