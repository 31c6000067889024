"""What the article says of its starts, and what the runs say."""

from collections.abc import Mapping, Sequence
from typing import Any

from fanin.lab.statistics.statistics import Difference
from fanin.studies._paired import difference
from fanin.studies._share import NEARLY_ALL, RunShare
from fanin.studies._sources import DJURIC
from fanin.studies._study import Claim
from fanin.studies.saturation._network import (
    LARGE_STARTS,
    NORMAL,
    RANDOM,
    RULES,
    SATURATED,
    SMALL_STARTS,
    SUBTRACTED,
    TARGET,
    TOLERANCE,
    UNIFORM,
    XAVIER,
    XAVIER_ZERO,
    Start,
    disagree,
    share_of,
)
from fanin.studies.saturation._readings import LARGE_PRINTS, SMALL_PRINTS, prints

MOST = 0.5
RARE = 0.01  # a start that fails less often than this may be said not to fail
FAILS = f"A run fails where it ends farther than {TOLERANCE} from {TARGET}"


def small(found: Mapping[str, Any], rule: str) -> Claim:
    """The fixed small weights reach the target."""
    start = SMALL_STARTS["rows"]
    runs = found[start.name][rule]
    return Claim(
        'Fixed weights "in [0, 1]" (in truth up to 3.7) learn the target, it prints '
        f"{SMALL_PRINTS}, {RULES[rule].told}",
        DJURIC,
        f"The output goes from {runs['first_output']:.4f} to {runs['last_output']:.4f}.",
        prints(found, start, rule, SMALL_PRINTS) == 1,
        figures={"output": runs["last_output"]},
    )


def large(found: Mapping[str, Any], rule: str) -> Claim:
    """The fixed large weights do not."""
    start = LARGE_STARTS["rows"]
    runs = found[start.name][rule]
    saturated = runs["saturated_output"] == 1
    return Claim(
        "Weights ten times as large are stuck in saturation at once, it prints "
        f"{LARGE_PRINTS}, {RULES[rule].told}",
        DJURIC,
        f"The output goes from {runs['first_output']:.2g} to {runs['last_output']:.2g}; "
        f"{100 * runs['saturated_hidden']:.0f} % of the hidden units and "
        f"{'the' if saturated else 'not the'} output saturated at the start.",
        saturated and prints(found, start, rule, LARGE_PRINTS) == 1,
        figures={"output": runs["last_output"]},
    )


def fails(found: Mapping[str, Any], start: Start, rule: str) -> RunShare:
    """The share of runs that miss the target."""
    share = share_of(found, start, rule)
    return RunShare(share.runs - share.hits, share.runs)


def helps_little(found: Mapping[str, Any], rule: str) -> Claim:
    """What is said of uniform(0, 1): its runs fail."""
    share = fails(found, UNIFORM, rule)
    return Claim(
        f"Uniform(0, 1) weights and biases do not help much, {RULES[rule].told}",
        DJURIC,
        f"{share} fail.",
        share.lies_above(MOST),
        f"{FAILS}; holds if the interval is above {100 * MOST:g} %, refuted if it is below.",
        {"fails": share.value},
    )


def saturates_mostly(found: Mapping[str, Any], rule: str) -> Claim:
    """What is said of uniform(0, 1): its runs saturate."""
    runs = found[UNIFORM.name][rule]
    count = share_of(found, UNIFORM, rule).runs
    share = RunShare(round(count * runs["ends_saturated"]), count)
    return Claim(
        f"From uniform(0, 1) the network saturates most times, {RULES[rule].told}",
        DJURIC,
        f"The output of {share} ends within {1 - SATURATED:.2f} of 0 or 1; at the start that of "
        f"{100 * runs['saturated_output']:.1f} % is there.",
        share.lies_above(MOST),
        f"Holds if the interval is above {100 * MOST:g} %, refuted if it is below.",
        {"ends_saturated": share.value},
    )


def fails_often(found: Mapping[str, Any], rule: str) -> Claim:
    """What is said of N(0, 1)."""
    share = fails(found, NORMAL, rule)
    enough = 1 - NEARLY_ALL
    return Claim(
        f"N(0, 1) weights and biases fail often enough, {RULES[rule].told}",
        DJURIC,
        f"{share} fail.",
        share.lies_above(enough),
        f"{FAILS}; holds if the interval is above {100 * enough:.0f} %, refuted if it is below.",
        {"fails": share.value},
    )


def may_fail(found: Mapping[str, Any], rule: str) -> Claim:
    """What is said of Xavier's start."""
    share = fails(found, XAVIER, rule)
    hidden, out = found[XAVIER.name]["weight_std"]
    return Claim(
        "Xavier's start may fail too, for the layers are tiny (factors 0.57 and 0.63), "
        f"{RULES[rule].told}",
        DJURIC,
        f"{share} fail; the weights' standard deviations are {hidden:.2f} and {out:.2f}.",
        True if share.hits else False if share.interval[1] < RARE else None,
        f"{FAILS}; holds if one does, refuted if none does and the interval ends below "
        f"{100 * RARE:g} %.",
        {"fails": share.value},
    )


def _pairs(found: Mapping[str, Any], better: Start, worse: Start, rule: str) -> Difference:
    first, second = (
        (start.name, list(map(float, found[start.name][rule]["reached"])))
        for start in (better, worse)
    )
    return difference(first, second, family=1)


def _better(
    found: Mapping[str, Any],
    rule: str,
    statement: str,
    source: str,
    start: Start,
    others: Sequence[Start],
) -> Claim:
    """A start is better than others, seed by seed: than all, or it is refuted by one."""
    gaps = [_pairs(found, start, other, rule) for other in others]
    pairs = share_of(found, start, rule).runs
    told = "; ".join(
        f"{100 * gap.interval.mean:+.1f} points over {gap.second} ({100 * gap.interval.low:+.1f} "
        f"to {100 * gap.interval.high:+.1f}; p = {gap.p:.2g})"
        for gap in gaps
    )
    refuted = any(gap.found and gap.interval.mean < 0 for gap in gaps)
    everywhere = all(gap.found and gap.interval.mean > 0 for gap in gaps)
    undecided = not (refuted or everywhere)
    return Claim(
        f"{statement}, {RULES[rule].told}",
        source,
        f"The share of runs that reach the target, over {pairs} pairs: {told}.",
        None if undecided else everywhere,
        "The paired sign-flip test finds no difference." if undecided else "",
        {gap.second: gap.interval.mean for gap in gaps},
    )


def normal_better(found: Mapping[str, Any], rule: str) -> Claim:
    """N(0, 1) against uniform(0, 1)."""
    statement = "N(0, 1) works better than uniform(0, 1)"
    return _better(found, rule, statement, DJURIC, NORMAL, [UNIFORM])


def xavier_best(found: Mapping[str, Any], rule: str) -> Claim:
    """Xavier's start against both."""
    statement = "Xavier, with N(0, 1) biases, should be the best so far"
    return _better(found, rule, statement, DJURIC, XAVIER, [UNIFORM, NORMAL])


def zero_better(found: Mapping[str, Any], rule: str) -> Claim:
    """Zero biases against normal ones."""
    statement = "Xavier's start is better with zero biases"
    source = "not the article's: how Xavier's rule is used"
    return _better(found, rule, statement, source, XAVIER_ZERO, [XAVIER])


def one_run(found: Mapping[str, Any]) -> Claim:
    """One run is enough to judge by."""
    chances = {
        (start.name, rule): disagree(share_of(found, start, rule))
        for start in RANDOM
        for rule in SUBTRACTED
    }
    least, most = (
        max((chance, name) for (name, rule), chance in chances.items() if rule == other)
        for other in SUBTRACTED
    )
    return Claim(
        "One run shows whether a start works",
        f"the way of {DJURIC}",
        f"Two runs of one start end unlike with a chance of at most {100 * least[0]:.1f} % by "
        f"gradient descent ({least[1]}), and of up to {100 * most[0]:.0f} % by the series' rule "
        f"({most[1]}).",
        max(chances.values()) < 1 - NEARLY_ALL,
        f"Holds if every chance is below {100 * (1 - NEARLY_ALL):.0f} %.",
        {"descent": least[0], "series": most[0]},
    )
