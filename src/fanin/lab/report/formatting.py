"""Short words for a comparison's numbers, the same in the terminal and in the report."""

import math
from collections.abc import Sequence

from fanin.lab.result import Result, ResultRow
from fanin.lab.statistics.statistics import Interval


def score(comparison: Result, value: float) -> str:
    """An accuracy of 0.9312 as `93.1 %`, an R² as `0.931`."""
    return f"{value:.3f}" if comparison.settings.task == "regression" else f"{100 * value:.1f} %"


def gap(comparison: Result, value: float) -> str:
    """A difference of scores: `0.9 pp`, percentage points, for accuracies of 0.931 and 0.922."""
    return f"{value:.3f}" if comparison.settings.task == "regression" else f"{100 * value:.1f} pp"


def bounds(comparison: Result, interval: Interval) -> str:
    """The two bounds, accuracies in percent; a word where one value gives none."""
    if math.isnan(interval.low):
        return "undefined"
    if math.isinf(interval.low):
        return "none"
    if comparison.settings.task == "regression":
        return f"{interval.low:.3f} to {interval.high:.3f}"
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def steps(value: float | None) -> str:
    """A number of steps, or `never`."""
    return "never" if value is None else f"{value:,.0f}"


def share(done: float) -> str:
    """How far a run got: `30 %`."""
    return f"{math.floor(100 * done)} %"


def failures(row: ResultRow) -> str:
    """How many runs failed, and how: `2 of 8 (1 nan, 1 stuck)`."""
    counts = f"{row.failed} of {len(row.trials)}"
    kinds = ", ".join(f"{count} {kind}" for kind, count in row.failures.items())
    return f"{counts} ({kinds})" if kinds else counts


def list_names(names: Sequence[str]) -> str:
    """Names as a sentence has them: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def count_names(names: Sequence[str], count: int) -> str:
    """A few of `count` rows by name, more of them by number."""
    return f"{len(names)} of the {count} rows" if len(names) > 4 else list_names(names)
