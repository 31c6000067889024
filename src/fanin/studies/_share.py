"""A share of runs with its interval, and what it says about a claim that every run should bear."""

from dataclasses import dataclass

from scipy import stats

from fanin.lab.statistics.statistics import LEVEL

NEARLY_ALL = 0.95


@dataclass(frozen=True)
class RunShare:
    """So many of so many runs, with Wilson's 95 % interval of the share."""

    hits: int
    runs: int

    @property
    def value(self) -> float:
        """The share itself."""
        return self.hits / self.runs

    @property
    def interval(self) -> tuple[float, float]:
        """Its lower and upper bound."""
        found = stats.binomtest(self.hits, self.runs).proportion_ci(LEVEL, method="wilson")
        return float(found.low), float(found.high)

    def lies_above(self, level: float) -> bool | None:
        """Whether it is above a level; None where the interval holds that number."""
        low, high = self.interval
        return True if low > level else False if high < level else None

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % of {self.runs} ({100 * low:.1f} to {100 * high:.1f})"
