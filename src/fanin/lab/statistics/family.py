"""A family: one measure of all rows, and the paired comparisons of it that are tested together."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import fmean, median

from fanin.lab.statistics import statistics
from fanin.lab.statistics.statistics import ALPHA, Difference


@dataclass(frozen=True, eq=False)
class ComparisonFamily:
    """Values by row and seed. With a baseline each other row is compared with it, else all pairs.

    `larger` says whether larger values are better.
    """

    measure: str
    larger: bool
    values: Mapping[str, Mapping[int, float]]
    baseline: str | None = None

    @cached_property
    def differences(self) -> list[Difference]:
        """All comparisons, over the seeds that both rows have, corrected for their number."""
        pairs = list(combinations(self.values, 2))
        if self.baseline is not None:
            pairs = [(name, self.baseline) for name in self.values if name != self.baseline]
        made = []
        for first_name, second_name in pairs:
            seeds = [seed for seed in self.values[first_name] if seed in self.values[second_name]]
            first, second = (
                [self.values[name][seed] for seed in seeds] for name in (first_name, second_name)
            )
            if seeds:
                made.append(
                    statistics.difference((first_name, first), (second_name, second), len(pairs))
                )
        return made

    @cached_property
    def best(self) -> str:
        """The row with the best mean."""
        sign = 1 if self.larger else -1
        return max(self.values, key=lambda name: sign * fmean(self.values[name].values()))

    @cached_property
    def center(self) -> str:
        """The row that the others are told apart from: the baseline, or the best."""
        return self.baseline or self.best

    def between(self, first: str, second: str) -> Difference | None:
        """The comparison of two rows, in either order."""
        names = {first, second}
        return next((d for d in self.differences if {d.first, d.second} == names), None)

    @cached_property
    def alike(self) -> list[str]:
        """The rows that are not told apart from the center."""
        return [name for name in self.values if name != self.center and not self._finds(name)]

    @cached_property
    def better(self) -> list[str]:
        """The rows found better than the center: none, where that is the best."""
        return [name for name in self.values if self._finds(name) and self._is_better(name)]

    @cached_property
    def worse(self) -> list[str]:
        """The rows found worse than the center."""
        return [name for name in self.values if self._finds(name) and not self._is_better(name)]

    @cached_property
    def leaders(self) -> list[str]:
        """The best row and those not told apart from it, where the test tells some rows from it."""
        if self.baseline is not None or not self.worse:
            return []
        return [name for name in self.values if name == self.best or name in self.alike]

    @property
    def pairs(self) -> int:
        """Seeds in a comparison."""
        return min((len(seeds) for seeds in self.values.values()), default=0)

    @property
    def powerless(self) -> bool:
        """Whether so few seeds can find nothing among so many comparisons, whatever they show."""
        return statistics.smallest_p(self.pairs, len(self.differences)) > ALPHA

    @property
    def detectable(self) -> float:
        """The median over the comparisons of what would be found four times in five."""
        return median(d.detectable for d in self.differences) if self.differences else 0.0

    def _finds(self, name: str) -> bool:
        difference = self.between(name, self.center)
        return difference is not None and difference.found

    def _is_better(self, name: str) -> bool:
        gap = fmean(self.values[name].values()) - fmean(self.values[self.center].values())
        return gap > 0 if self.larger else gap < 0
