"""A comparison as a table and notes: what the terminal and the report both say."""

from collections.abc import Sequence
from statistics import median

from rich.table import Table
from rich.text import Text

from fanin import _html
from fanin.lab.report.formatting import bounds, failures, score, share, steps
from fanin.lab.report.verdict import verdict, warnings
from fanin.lab.result import Result, ResultRow
from fanin.lab.statistics import signflip, statistics
from fanin.lab.training.losses import STUCK_MARGIN
from fanin.lab.training.trial import DIVERGED

WIDTH = 80  # of a terminal
LAYERS = 6  # that a table shows
LEADING, ALIKE, BETTER, WORSE, BASELINE = "*", "~", "+", "-", "="


def headers(comparison: Result) -> tuple[str, ...]:
    """The table's columns; that of learning rates where they differ or were chosen."""
    measure = "R²" if comparison.settings.task == "regression" else "accuracy"
    rate = ("rate",) if _rates_vary(comparison) else ()
    depth = ("depth",) if comparison.depths else ()
    return ("initializer", *rate, measure, "95 % interval", "steps to target", "failed", *depth)


def cells(comparison: Result, row: ResultRow) -> tuple[str, ...]:
    """One row of the table, in the order of the headers."""
    rate = (f"{row.rate.lr:g}",) if _rates_vary(comparison) else ()
    deep = [depth.starts_to for depth in comparison.depths if depth.name == row.name]
    return (
        row.name,
        *rate,
        f"{score(comparison, row.score.mean)} {mark(comparison, row)}".rstrip(),
        bounds(comparison, row.score),
        f"{steps(row.mean_steps)} ({len(row.steps_to_target)} of {len(row.trials)})",
        failures(row),
        *("none" if depth is None else str(depth) for depth in deep),
    )


def mark(comparison: Result, row: ResultRow) -> str:
    """A sign beside the mean: that of the leading rows, or how a row compares with the baseline."""
    family = comparison.scores
    if family.baseline is None:
        return LEADING if row.name in family.leaders else ""
    if row.name == family.baseline:
        return BASELINE
    return BETTER if row.name in family.better else WORSE if row.name in family.worse else ALIKE


def _rates_vary(comparison: Result) -> bool:
    rows = comparison.rows
    return len({row.rate.lr for row in rows}) > 1 or any(row.rate.tried for row in rows)


def notes(comparison: Result) -> list[str]:
    """What a reader must know to read the table rightly, beside the warnings."""
    return [
        _training(comparison),
        _marks(comparison),
        _target(comparison),
        _tell_failed(comparison),
        *_extras(comparison),
    ]


def _target(comparison: Result) -> str:
    window = comparison.settings.setup.window
    loss = "training loss" if window == 1 else f"mean training loss of the last {window} steps"
    return (
        f"Steps to target: mean step at which the {loss} was first at or below "
        f"{comparison.target:.3g}; in brackets how many runs got there. One that did not counts "
        "with all its steps."
    )


def _training(comparison: Result) -> str:
    s = comparison.settings
    epochs = "1 epoch" if s.epochs == 1 else f"{s.epochs} epochs"
    seeds = f"seeds {s.first_seed} to {s.all_seeds[-1]}" if s.seeds > 1 else f"seed {s.first_seed}"
    rate = "" if _rates_vary(comparison) else f" at {comparison.rows[0].rate.lr:g}"
    clips = [
        f", gradients clipped at {what} {value:g}"
        for what, value in (("value", s.clip_value), ("norm", s.clip_norm))
        if value is not None
    ]
    network = s.model if s.depth is None else f"{s.model} of depth {s.depth}"
    if ":" not in s.model:  # a factory chooses its own
        network += f", {s.activation}"
    return (
        f"{comparison.note}. {s.train} training and {s.test} test {comparison.unit}, {epochs}, "
        f"batch size {s.batch_size}, {s.optimizer}{rate}{''.join(clips)}, {s.setup.loss} loss; "
        f"network {network}. A seed ({seeds}) fixes split, order and "
        "weights; all initializers meet the same split and order."
    )


def _marks(comparison: Result) -> str:
    family = comparison.scores
    interval = "Intervals: 95 % for the mean, Student's t over the seeds on the logit scale."
    if len(comparison.rows) == 1:
        return interval
    signs = (
        f"{BASELINE} baseline; {BETTER} better, {WORSE} worse, {ALIKE} not told apart from it"
        if family.baseline
        else f"{LEADING} the highest mean and those not told apart from it, where others are below"
    )
    exact = "all sign flips" if 2**family.pairs <= signflip.RESAMPLES else "random sign flips"
    count = len(family.differences)
    corrected = f", Bonferroni's correction for {count} comparisons" if count > 1 else ""
    return (
        f"{signs}: paired sign-flip test ({exact}){corrected}, two-sided at "
        f"{statistics.ALPHA:g}. {interval}"
    )


def _tell_failed(comparison: Result) -> str:
    loss, least = comparison.settings.setup.loss, comparison.guess
    margin = STUCK_MARGIN[loss]
    limit = least - margin if loss == "cross_entropy" else least * (1 - margin)
    return (
        f"Failed runs: nan, a loss was not finite; diverged, the loss ended above {DIVERGED:g} "
        f"times that of guessing ({least:.3g}); stuck, it ended near it, above {limit:.3g}. They "
        "stay in the mean with the score they have; an output that is not finite is wrong."
    )


def _extras(comparison: Result) -> list[str]:
    found = [f"{note}." for note in comparison.how]
    if comparison.settings.lr_grid:
        found.append(
            "Rates were chosen for each initializer by the fewest failures, then the lowest final "
            f"training loss, on seeds {comparison.settings.tuning_seeds[0]} to "
            f"{comparison.settings.tuning_seeds[-1]}, which are not among those compared."
        )
    if comparison.depths:
        found.append(
            "Depth: the largest depth tried at which, as at all lower ones, at least "
            "half of the runs did not fail."
        )
    return found


def signals(comparison: Result, which: str) -> tuple[list[str], list[tuple[str, ...]]]:
    """Layers, and for each row the median over seeds of their RMS: of outputs or of gradients.

    `which` is "forward" or "backward". Of many layers some are shown, the first and the last too.
    """
    layers = comparison.rows[0].trials[0].signals.layers
    count = min(LAYERS, len(layers))
    places = [round(n * (len(layers) - 1) / max(1, count - 1)) for n in range(count)]
    rows = []
    for row in comparison.ranked:
        values = [getattr(trial.signals, which) for trial in row.trials]
        middle = [median(seed[place] for seed in values) for place in places]
        rows.append((row.name, *(f"{value:.2g}" for value in middle)))
    return [layers[place] for place in places], rows


def table(comparison: Result) -> Table:
    """The result as a table for the terminal, of at most 80 columns if names allow."""
    # Text, not str: what users wrote is never read as markup.
    warned = [f"Warning: {warning}" for warning in warnings(comparison)]
    caption = Text("\n".join([*warned, *notes(comparison)]))
    title = None if comparison.done == 1 else f"interrupted at {share(comparison.done)}"
    result = Table(title=title, caption=caption, caption_justify="left")
    names = headers(comparison)
    every = [cells(comparison, row) for row in comparison.ranked]
    narrow = _width([names, *every]) > WIDTH
    for name in names:
        header = name.replace(" target", "\ntarget").replace("% ", "%\n") if narrow else name
        result.add_column(header, justify="right", no_wrap=True)
    first = result.columns[0]
    first.justify, first.no_wrap, first.overflow, first.min_width = "left", False, "fold", 10
    for row in every:
        result.add_row(*(Text(_broken(cell, narrow)) for cell in row))
    return result


def html(comparison: Result) -> str:
    """The same for a notebook, below the verdict."""
    rows = [cells(comparison, row) for row in comparison.ranked]
    columns = range(1, len(headers(comparison)))
    return _html.join_parts(
        [
            _html.paragraph("", verdict(comparison)),
            *(_html.paragraph(text, "Warning:", "warning") for text in warnings(comparison)),
            _html.table(headers(comparison), rows, columns),
            *map(_html.paragraph, notes(comparison)),
        ]
    )


def _width(lines: Sequence[Sequence[str]]) -> int:
    """Columns that a table takes, frame and padding included."""
    columns = zip(*lines, strict=True)
    widest = [
        max(len(part) for cell in column for part in _broken(cell, narrow=False).splitlines())
        for column in columns
    ]
    return sum(width + 3 for width in widest) + 1


def _broken(cell: str, narrow: bool) -> str:
    """Brackets below their number, where a line has no room for them."""
    counts, _, rest = cell.partition(" (")
    is_long = rest.endswith(("nan)", "stuck)", "diverged)")) or (narrow and " of " in rest)
    return f"{counts}\n({rest}" if is_long else cell
