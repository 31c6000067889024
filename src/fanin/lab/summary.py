"""A comparison in words and short numbers: what the terminal and the report both say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from fanin.lab.statistics import Interval
from fanin.lab.trial import STUCK_MARGIN

if TYPE_CHECKING:
    from fanin.lab.comparison import Comparison, Row

HEADERS = ("initializer", "accuracy", "95 % interval", "steps to target", "failed")
BEST, RIVAL = "*", "~"


def cells(comparison: Comparison, row: Row) -> tuple[str, ...]:
    """One row of the table, in the order of HEADERS."""
    seeds = comparison.settings.seeds
    steps = "never" if row.median_steps is None else f"{row.median_steps:,.0f}"
    reached = f"({len(row.steps_to_target)} of {seeds})"
    return (
        row.name,
        f"{percent(row.accuracy.mean)} {mark(comparison, row)}".rstrip(),
        bounds(row.accuracy),
        f"{steps} {reached}",
        f"{row.failed} of {seeds}",
    )


def mark(comparison: Comparison, row: Row) -> str:
    """A sign beside the best mean, and beside those that this run cannot tell from it."""
    if row is comparison.best:
        return BEST
    return RIVAL if row in comparison.rivals else ""


def percent(share: float) -> str:
    """0.9312 as `93.1 %`."""
    return f"{100 * share:.1f} %"


def bounds(interval: Interval) -> str:
    """The two bounds in percent, or a word where one value gives none."""
    if math.isnan(interval.low):
        return "undefined"
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def headline(comparison: Comparison) -> str:
    """The result in one or two sentences that claim no more than the intervals show."""
    best, rivals, count = comparison.best, comparison.rivals, len(comparison.rows)
    failed, trials = sum(row.failed for row in comparison.rows), count * comparison.settings.seeds
    failures = f"{failed or 'None'} of {trials} runs failed."
    mean = f"{best.name} has the highest mean test accuracy, {percent(best.accuracy.mean)}"
    if comparison.settings.seeds == 1:
        return f"{mean}, but one seed gives no interval, so this run ranks nothing. {failures}"
    if count == 1:
        return f"{best.name} reached {percent(best.accuracy.mean)} test accuracy. {failures}"
    if not rivals:
        return f"{mean}, clear of all others. {failures}"
    below = [row for row in comparison.rows if row is not best and row not in rivals]
    if not below:
        return f"{mean}, but this run cannot tell it from any other. {failures}"
    lie = "lies" if len(below) == 1 else "lie"
    return (
        f"{mean}, but this run cannot tell it from {_named(rivals, count)}; "
        f"{_named(below, count)} {lie} below. {failures}"
    )


def _named(rows: Sequence[Row], count: int) -> str:
    """A few rows by name, more of them by number."""
    if len(rows) > 3:
        return f"{len(rows)} of the other {count - 1}"
    return ", ".join(row.name for row in rows)


def notes(comparison: Comparison) -> list[str]:
    """What a reader must know to read the table rightly."""
    s = comparison.settings
    epochs = "1 epoch" if s.epochs == 1 else f"{s.epochs} epochs"
    seeds = f"seeds {s.first_seed} to {s.all_seeds[-1]}" if s.seeds > 1 else f"seed {s.first_seed}"
    return [
        f"{comparison.note}. {s.train} training and {s.test} test images, {epochs}, "
        f"batch size {s.batch_size}, Adam at {s.lr:g}. A seed ({seeds}) fixes split, order and "
        "weights; all initializers meet the same split and order.",
        f"{BEST} highest mean; {RIVAL} its interval overlaps that one's, so this run does not tell "
        "them apart. Intervals: Student's t over the seeds.",
        f"Steps to target: median step at which the mean training loss of the last {s.window} "
        f"steps was first at or below {s.target_loss:g}, over the runs that reached it (their "
        "number in brackets).",
        f"Failed: the loss was not finite, or its last running mean is not below ln "
        f"{comparison.classes} - {STUCK_MARGIN:g}, no better than guessing. Failed runs stay in "
        "the mean with the accuracy they have; an output that is not finite counts as wrong.",
    ]


def table(comparison: Comparison) -> Table:
    """The result as a table for the terminal."""
    # Text, not str: what users wrote is never read as markup.
    result = Table(*HEADERS, caption=Text("\n".join(notes(comparison))), caption_justify="left")
    for column in result.columns[1:]:
        column.justify, column.no_wrap = "right", True
    result.columns[0].overflow = "fold"
    for row in comparison.rows:
        result.add_row(*map(Text, cells(comparison, row)))
    return result
