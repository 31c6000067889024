"""A row of a study: published figures beside measured ones, and the verdict they come to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fanin.lab.statistics.statistics import Interval, mean_interval
from fanin.studies._study import Advance, Claim, Figure, StudyPart

CLOSE = 0.05  # relative: what a published figure may be off where no digits say otherwise

MOST_TOLD = 4  # figures in a claim's sentence; the table has all


@dataclass(frozen=True)
class Check:
    """A published figure and the measured one, whose 95 % interval is exact where it is a point.

    It agrees where the whole interval is within `allowed` of the published figure, and differs
    where none of it is; otherwise it is open, None.
    """

    figure: str
    published: float
    measured: Interval
    allowed: float

    @property
    def agrees(self) -> bool | None:
        """Whether they agree; None where the interval lies on the edge of what is allowed."""
        low, high = self.published - self.allowed, self.published + self.allowed
        if low <= self.measured.low and self.measured.high <= high:
            return True
        apart = self.measured.high < low or high < self.measured.low
        return False if apart else None


def near(figure: str, published: float, values: Sequence[float] | float) -> Check:
    """A check within 5 % of the published figure, of a sample's mean or of a number."""
    return within(figure, published, values, CLOSE * abs(published))


def within(figure: str, published: float, values: Sequence[float] | float, allowed: float) -> Check:
    """A check within an absolute distance, of a sample's mean or of a number."""
    if isinstance(values, (int, float)):
        return Check(figure, published, Interval(values, values, values), allowed)
    return Check(figure, published, mean_interval(values), allowed)


@dataclass(frozen=True)
class ClaimRow:
    """One claim with its checks. `how` says what was measured: sizes, networks, seeds.

    Without checks the verdict `holds` and the sentence `measured` are the row's own. `trained`
    rows need longer trainings than the quick form's.
    """

    statement: str
    source: str
    how: str
    checks: Sequence[Check] = ()
    measured: str = ""
    holds: bool | None = None
    rule: str = ""
    trained: bool = False

    def claim(self, number: int) -> Claim:
        """The row as the study's claim of this number."""
        holds, why = self.holds, self.rule
        if self.checks:
            holds = join_verdicts([check.agrees for check in self.checks])
            why = _why(self.checks)
        return Claim(
            f"{number}. {self.statement}",
            self.source,
            " ".join(filter(None, [self.measured or _tell(self.checks), self.how])),
            holds,
            why,
            {check.figure: check.measured.mean for check in self.checks},
        )


def join_verdicts(verdicts: Sequence[bool | None]) -> bool | None:
    """That of all together: one refutes them, and one that is open leaves them open."""
    return False if False in verdicts else None if None in verdicts else True


@dataclass(frozen=True)
class ClaimFamily:
    """Rows that share measurements: the parts to measure, what they say, and their pictures."""

    parts: Callable[[bool], list[StudyPart]]
    rows: Callable[[Mapping[str, Any]], list[ClaimRow]]
    figures: Callable[[Mapping[str, Any]], list[Figure]] = lambda found: []


def part(name: str, measure: Callable[..., Any], steps: int = 0, /, **settings: Any) -> StudyPart:
    """A part that calls `measure` with the settings; with steps it is told `advance` as well."""

    def run(advance: Advance) -> Any:
        told = {"advance": advance} if steps else {}
        return measure(**told, **settings)

    return StudyPart(name, settings, run, steps or 1)


def text(interval: Interval) -> str:
    """A mean with its interval: `0.1640 (0.1632 to 0.1648)`."""
    if interval.low == interval.high:
        return f"{interval.mean:.6g}"
    return f"{interval.mean:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _tell(checks: Sequence[Check]) -> str:
    shown = [check for check in checks if not check.agrees] or list(checks)
    count = len(shown) if len(shown) <= MOST_TOLD else 2
    told = [
        f"{check.figure}: {text(check.measured)}, claimed {check.published:g}"
        for check in shown[:count]
    ]
    rest = f"; {len(shown) - count} more in the table" if len(shown) > count else ""
    return f"{'; '.join(told)}{rest}."


def _why(checks: Sequence[Check]) -> str:
    counts = {
        verdict: sum(check.agrees is verdict for check in checks) for verdict in (True, False)
    }
    figures = "figure" if len(checks) == 1 else "figures"
    edge = len(checks) - counts[True] - counts[False]
    told = f"{counts[True]} of {len(checks)} {figures} within what is allowed"
    return f"{told}{f', {edge} on the edge' if edge else ''}."
