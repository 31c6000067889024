"""What paired losses say of a claim that one start is better than another."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fanin.lab.statistics.statistics import Difference
from fanin.studies._paired import difference, holm
from fanin.studies._rows import ClaimRow, join_verdicts

LEAST = 0.005  # of loss, in nats: a gain that is surely less is none
RULE = (
    "Holds where the paired sign-flip test, with Holm's correction, finds a lower loss in every "
    "comparison; refuted where it finds a higher one in any, or where an interval says that less "
    f"than {LEAST:g} is gained."
)


def judge_gain(gap: Difference) -> bool | None:
    """Whether the first has a lower loss than the second, by RULE."""
    if gap.found:
        return gap.interval.mean < 0
    return False if gap.interval.low > -LEAST else None


def judge_gains(name: str, losses: Mapping[str, Sequence[float]], row: ClaimRow) -> ClaimRow:
    """The row with whether all others have lower losses than the row of this name, by RULE.

    `losses` are those of the same seeds; p-values are Holm's.
    """
    others = [other for other in losses if other != name]
    gaps = holm([difference((o, losses[o]), (name, losses[name]), len(others)) for o in others])
    means = ", ".join(f"{of}: {np.mean(values):.4f}" for of, values in losses.items())
    return replace(
        row,
        trained=True,
        measured=f"Mean losses on held-out text {means}. {tell_gaps(gaps)}.",
        holds=join_verdicts([judge_gain(gap) for gap in gaps]),
        rule=RULE,
    )


def tell_gaps(gaps: Sequence[Difference]) -> str:
    """`0.01 less 0.02: -0.0123 (-0.0201 to -0.0045), p = 0.004; ...`."""
    return "; ".join(
        f"{gap.first} less {gap.second}: {gap.interval.mean:+.4f} ({gap.interval.low:+.4f} to "
        f"{gap.interval.high:+.4f}), p = {gap.p_adjusted:.2g}"
        for gap in gaps
    )
