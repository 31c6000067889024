"""The verdict: what a comparison found, in sentences that claim no more than its tests show."""

import math
from collections.abc import Callable, Sequence

from fanin.lab.depth import deepest
from fanin.lab.report.formatting import count_names, gap, list_names, score, share
from fanin.lab.result import Result
from fanin.lab.statistics import statistics
from fanin.lab.statistics.family import ComparisonFamily


def verdict(comparison: Result) -> str:
    """The sentences: on the score, on the steps to the target, on depth, on failures."""
    parts = [_on_score(comparison), _on_steps(comparison), _on_depth(comparison)]
    failed = sum(row.failed for row in comparison.rows)
    trials = sum(len(row.trials) for row in comparison.rows)
    if comparison.done < 1:
        parts.insert(0, f"Interrupted at {share(comparison.done)}.")
    return " ".join(filter(None, [*parts, f"{failed or 'None'} of {trials} runs failed."]))


def _on_score(comparison: Result) -> str:
    family, best = comparison.scores, comparison.best
    if len(comparison.rows) == 1:
        return f"{best.name} reached {score(comparison, best.score.mean)} {family.measure}."
    everything = f"mean {family.measure} is {_span(comparison, list(family.values))}"
    if family.pairs == 1:
        return f"One seed ranks nothing: {everything}."
    if family.powerless:
        return f"{_powerless(family)[0].upper()}{_powerless(family)[1:]}. The {everything}."
    if family.baseline is not None:
        return _against(family, family.baseline)
    if not any(difference.found for difference in family.differences):
        seen = tell_detectable(family, lambda size: gap(comparison, size))
        return f"No difference found: {everything}; {seen}."
    top = f"{_span(comparison, [best.name])} mean {family.measure}"
    if not family.alike:
        return f"{best.name} is best, with {top}, clear of all others."
    if not family.worse:
        return (
            f"None is best: {best.name} has the highest mean {family.measure}, "
            f"{_span(comparison, [best.name])}, and no row is clearly below it. Other rows do "
            f"differ: {_pairs(family)}."
        )
    lie = "lies" if len(family.worse) == 1 else "lie"
    return (
        f"Not told apart: {count_names(family.leaders, len(comparison.rows))}, with "
        f"{_span(comparison, family.leaders)} mean {family.measure}. "
        f"{count_names(family.worse, len(comparison.rows))} {lie} below, at "
        f"{_span(comparison, family.worse)}."
    )


def _span(comparison: Result, names: Sequence[str]) -> str:
    """The mean score of one row, or the lowest and the highest of some."""
    means = [row.score.mean for row in comparison.rows if row.name in names]
    low, high = score(comparison, min(means)), score(comparison, max(means))
    return high if low == high else f"{low.removesuffix(' %')} to {high}"


def _pairs(family: ComparisonFamily) -> str:
    """The differences found, such as `a above b`; of many the first three."""
    found = [
        f"{difference.first} above {difference.second}"
        if difference.interval.mean > 0
        else f"{difference.second} above {difference.first}"
        for difference in family.differences
        if difference.found
    ]
    more = len(found) - 3
    return list_names([*found[:3], f"{more} more"] if more > 0 else found)


def _on_steps(comparison: Result) -> str:
    family, target = comparison.steps, comparison.target
    reached = [row for row in comparison.rows if row.steps_to_target]
    if not reached:
        return f"No run reached a training loss of {target:.3g}."
    if len(comparison.rows) == 1 or family.pairs == 1 or family.powerless:
        return ""
    goal = f"To a training loss of {target:.3g}"
    if family.baseline is not None:
        return f"{goal}: {_against(family, family.baseline)}"
    if not any(difference.found for difference in family.differences):
        return f"{goal}, no difference found in steps."
    if not family.alike:
        return f"{goal}, {family.best} needs the fewest steps, clearly fewer than all others."
    if not family.worse:
        return f"{goal}, none is clearly the fastest."
    more = "needs" if len(family.worse) == 1 else "need"
    count = len(comparison.rows)
    return (
        f"{goal}, {count_names(family.leaders, count)} are not told apart; "
        f"{count_names(family.worse, count)} {more} more steps."
    )


def _against(family: ComparisonFamily, baseline: str) -> str:
    found = [
        f"{what}: {', '.join(names)}"
        for what, names in (
            ("better", family.better),
            ("worse", family.worse),
            ("no difference found", family.alike),
        )
        if names
    ]
    return f"Against {baseline}, {'; '.join(found)}."


def _on_depth(comparison: Result) -> str:
    if not comparison.depths:
        return ""
    best = deepest(comparison.depths)
    if not best:
        return "Training starts at none of the depths."
    names = count_names([row.name for row in best], len(comparison.depths))
    if len(best) == len(comparison.depths) > 1:
        names = "all initializers"
    return f"Training still starts at depth {best[0].starts_to} from {names}."


def tell_detectable(family: ComparisonFamily, shown: Callable[[float], str]) -> str:
    """What the comparisons would have found, in standard deviations and in the measure's unit."""
    effect = statistics.detectable(family.pairs, len(family.differences))
    if math.isinf(effect):
        return "no difference of any size would have been found"
    return (
        f"a difference of {effect:.1f} sd (here about {shown(family.detectable)}) would have been "
        "found four times in five"
    )


def _powerless(family: ComparisonFamily) -> str:
    count = len(family.differences)
    least = statistics.smallest_p(family.pairs, count)
    among = "one comparison" if count == 1 else f"{count} comparisons"
    return (
        f"{family.pairs} seeds can show no difference in {among}, whatever its size (smallest "
        f"adjusted p {least:.2g}): use --seeds {statistics.pairs_needed(count)}"
        + ("" if family.baseline or count == 1 else ", fewer rows, or --baseline")
    )


def warnings(comparison: Result) -> Sequence[str]:
    """What a reader should be warned of."""
    family, found = comparison.scores, []
    if comparison.done < 1:
        found.append(
            f"interrupted at {share(comparison.done)}: networks in training are shown as far as "
            "they got; this is no final result."
        )
    if family.pairs < statistics.FEW_SEEDS:
        found.append(
            f"{family.pairs} seeds are too few to tell initializers apart; use 6 or more, better 8."
        )
    for row in comparison.rows:
        if row.rate.at_edge:
            found.append(
                f"{row.name}: the chosen learning rate {row.rate.lr:g} lies at the edge of the "
                "grid; a better one may lie beyond."
            )
    return found
