"""What the results say: per case better, same or worse than another start, and over all cases."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.starts.architecture import Architecture
from bench.starts.protocol import CHECKPOINTS, FAILED, FRESH_SEEDS, bound
from bench.starts.records import Cell, current, path_of, read
from bench.starts.starts import STARTS
from fanin.lab.statistics import statistics
from fanin.lab.statistics.statistics import Difference, Interval
from fanin.studies import _paired

Losses = list[list[float | None]]


@dataclass(frozen=True)
class Case:
    """An architecture under an optimizer: by start the losses of the twelve fresh seeds.

    A start that raised has an entry in `raised` in place of losses, one that has not been run
    neither.
    """

    architecture: str
    optimizer: str
    chance: float
    losses: Mapping[str, Losses]
    raised: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.architecture + (", SGD" if self.optimizer == "sgd" else "")

    @property
    def whole(self) -> bool:
        """Whether every start was run, or raised."""
        return all(start in self.losses or start in self.raised for start in STARTS)

    def logarithms(self, start: str, checkpoint: int) -> list[float]:
        """Of the bounded losses, a value for each seed."""
        return [math.log(bound(row[checkpoint], self.chance)) for row in self.losses[start]]

    def count_failed(self, start: str) -> int:
        """Runs that had not trained at the end."""
        ends = [row[-1] for row in self.losses.get(start, [])]
        return sum(loss is None or not loss < FAILED * self.chance for loss in ends)

    def fails(self, start: str) -> bool:
        """Whether more than half of the runs had not trained."""
        return 2 * self.count_failed(start) > len(self.losses.get(start, []))


@dataclass(frozen=True)
class Comparison:
    """`auto` beside another start, over the cases that both were run on, at one checkpoint.

    `differences` are of logarithms of losses, corrected by Holm for all cases; `ratio` is the
    geometric mean of the ratios of losses, with its interval over cases.
    """

    other: str
    steps: int
    cases: Sequence[Case]
    differences: Sequence[Difference]
    ratio: Interval

    @property
    def words(self) -> list[str]:
        """`better`, `same` or `worse`, for each case."""
        return [
            ("better" if one.interval.mean < 0 else "worse") if one.found else "same"
            for one in self.differences
        ]


def read_cases(architectures: Sequence[Architecture], folder: Path) -> list[Case]:
    """The cases that are whole, in their order."""
    found = []
    for architecture in architectures:
        path = path_of(architecture.name, folder)
        cells = list(current(read(path)).values())
        if cells:
            chance = architecture.chance
            for optimizer in architecture.optimizers:
                mine = [cell for cell in cells if cell.optimizer == optimizer]
                found.append(_case(architecture.name, optimizer, chance, mine))
    return [case for case in found if case.whole]


def _case(name: str, optimizer: str, chance: float, cells: Sequence[Cell]) -> Case:
    fresh: dict[str, Losses] = {}
    for start in STARTS:
        rows = {cell.phase: cell.losses for cell in cells if cell.start == start}
        if set(FRESH_SEEDS) <= set(rows):
            fresh[start] = [row for phase in FRESH_SEEDS for row in rows[phase]]
    raised = {cell.start: cell.raised for cell in cells if cell.raised is not None}
    return Case(name, optimizer, chance, fresh, raised)


def compare(cases: Sequence[Case], other: str, checkpoint: int) -> Comparison:
    """`auto` beside `other` at a checkpoint, by its place in CHECKPOINTS."""
    both = [case for case in cases if {"auto", other} <= set(case.losses)]
    differences = [
        statistics.difference(
            ("auto", case.logarithms("auto", checkpoint)),
            (other, case.logarithms(other, checkpoint)),
            len(both),
        )
        for case in both
    ]
    means = [one.interval.mean for one in differences]
    over = _paired.difference(("auto", means), (other, [0.0] * len(means)), 1).interval
    ratio = Interval(*(math.exp(value) for value in (over.mean, over.low, over.high)))
    return Comparison(other, CHECKPOINTS[checkpoint], both, _paired.holm(differences), ratio)


@dataclass(frozen=True)
class Goal:
    """A sentence of the protocol, what was found, and whether it holds."""

    text: str
    found: str
    holds: bool


def judge(cases: Sequence[Case]) -> list[Goal]:
    """The goals of the protocol, on the cases of the second half."""
    goals = []
    for checkpoint, steps in enumerate(CHECKPOINTS):
        own, peer = (compare(cases, other, checkpoint) for other in ("own", "anyinit"))
        share = {word: fmean(one == word for one in own.words) for word in ("better", "worse")}
        goals += [
            Goal(
                f"{steps} steps: not worse than the model's own on at least 95 %",
                f"{1 - share['worse']:.0%}",
                share["worse"] <= 0.05,
            ),
            Goal(
                f"{steps} steps: better than the model's own on at least half",
                f"{share['better']:.0%}",
                share["better"] >= 0.5,
            ),
            _at_most(own, 0.85),
            _at_most(peer, 0.97),
        ]
    lost = [
        case.name
        for case in cases
        if case.fails("auto") and not all(case.fails(other) for other in case.losses)
    ]
    goals.append(Goal("never failing where another trains", ", ".join(lost) or "none", not lost))
    return goals


def _at_most(comparison: Comparison, limit: float) -> Goal:
    return Goal(
        f"{comparison.steps} steps: loss ratio to {comparison.other} at most {limit:g}",
        format_ratio(comparison.ratio),
        comparison.ratio.mean <= limit,
    )


def format_ratio(ratio: Interval) -> str:
    """A ratio with its interval, where it has one."""
    bounds = f" ({ratio.low:.3f} to {ratio.high:.3f})" if math.isfinite(ratio.low) else ""
    return f"{ratio.mean:.3f}{bounds}"
