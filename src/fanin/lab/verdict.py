"""The verdict: what a comparison found, in sentences that claim no more than its tests show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fanin.lab import statistics
from fanin.lab.depth import deepest
from fanin.lab.family import Family
from fanin.lab.wording import listed, score

if TYPE_CHECKING:
    from fanin.lab.comparison import Comparison


def verdict(comparison: Comparison) -> str:
    """The sentences: on the score, on the steps to the target, on depth, on failures."""
    parts = [_on_score(comparison), _on_steps(comparison), _on_depth(comparison)]
    failed = sum(row.failed for row in comparison.rows)
    trials = sum(len(row.trials) for row in comparison.rows)
    return " ".join(filter(None, [*parts, f"{failed or 'None'} of {trials} runs failed."]))


def _on_score(comparison: Comparison) -> str:
    family, best = comparison.scores, comparison.best
    value = score(comparison, best.score.mean)
    if len(comparison.rows) == 1:
        return f"{best.name} reached {value} {family.measure}."
    mean = f"{best.name} has the highest mean {family.measure}, {value}"
    if family.pairs == 1:
        return f"{mean}, but one seed gives no interval, so this run ranks nothing."
    if family.powerless:
        return f"{mean}, but {_powerless(family)}."
    if family.baseline is not None:
        return _against(family, family.baseline)
    if not any(difference.found for difference in family.differences):
        seen = detected(family, lambda size: score(comparison, size))
        return f"No difference found. {mean}, but this run cannot tell it from any other; {seen}."
    if not family.alike:
        return f"{mean}, clear of all others."
    alike = listed(family.alike, len(comparison.rows))
    if not family.worse:
        return f"{mean}, but this run cannot tell it from any other, only some of those apart."
    lie = "lies" if len(family.worse) == 1 else "lie"
    below = listed(family.worse, len(comparison.rows))
    return f"{mean}, but this run cannot tell it from {alike}; {below} {lie} below."


def _on_steps(comparison: Comparison) -> str:
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
    needs = f"{goal}, {family.best} needs the fewest steps on average"
    if not family.worse:
        return f"{needs}, not told apart from any other."
    slower = "all others need more"
    if family.alike:
        more = "needs" if len(family.worse) == 1 else "need"
        slower = (
            f"{listed(family.worse, len(comparison.rows))} {more} more, the rest is not told apart"
        )
    return f"{needs}; {slower}."


def _against(family: Family, baseline: str) -> str:
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


def _on_depth(comparison: Comparison) -> str:
    if not comparison.depths:
        return ""
    best = deepest(comparison.depths)
    if not best:
        return "Training starts at none of the depths."
    names = listed([row.name for row in best], len(comparison.depths))
    if len(best) == len(comparison.depths) > 1:
        names = "all initializers"
    return f"Training still starts at depth {best[0].starts_to} from {names}."


def detected(family: Family, shown: Callable[[float], str]) -> str:
    """What the comparisons would have found, in standard deviations and in the measure's unit."""
    effect = statistics.detectable(family.pairs, len(family.differences))
    if math.isinf(effect):
        return "no difference of any size would have been found"
    return (
        f"a difference of {effect:.1f} sd (here about {shown(family.detectable)}) would have been "
        "found four times in five"
    )


def _powerless(family: Family) -> str:
    count = len(family.differences)
    least = statistics.smallest_p(family.pairs, count)
    among = "one comparison" if count == 1 else f"{count} comparisons"
    return (
        f"{family.pairs} seeds can show no difference in {among}, whatever its size (smallest "
        f"adjusted p {least:.2g}): use --seeds {statistics.pairs_needed(count)}"
        + ("" if family.baseline or count == 1 else ", fewer rows, or --baseline")
    )


def warnings(comparison: Comparison) -> Sequence[str]:
    """What a reader should be warned of."""
    family, found = comparison.scores, []
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
