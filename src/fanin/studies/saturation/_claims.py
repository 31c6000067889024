"""What is claimed of the starts, and what the runs say."""

from collections.abc import Mapping
from typing import Any

from fanin.studies._paired import difference
from fanin.studies._share import NEARLY_ALL
from fanin.studies._study import Claim
from fanin.studies.saturation._network import (
    LARGE_START,
    RANDOM,
    RULE_NAMES,
    RULES,
    SMALL_START,
    TARGET,
    TOLERANCE,
    Start,
    disagree,
    share_of,
)

ARTICLE = "Djuric 2019, part 13"


def small(found: Mapping[str, Any]) -> Claim:
    """The fixed small weights reach the target."""
    runs = found[SMALL_START.name]
    last, series = (runs[rule]["last_output"] for rule in RULES)
    return Claim(
        "From its fixed small weights the network learns the target: it prints 0.50",
        ARTICLE,
        f"The output goes from {runs['first_output']:.4f} to {last:.4f}; by the series' rule to "
        f"{series:.4f}.",
        max(abs(last - TARGET), abs(series - TARGET)) <= TOLERANCE,
        figures={"output": last, "series": series},
    )


def large(found: Mapping[str, Any]) -> Claim:
    """The fixed large weights do not."""
    runs = found[LARGE_START.name]
    last, saturated = runs["descent"]["last_output"], runs["saturated_output"] == 1
    return Claim(
        "Weights ten times as large saturate the network, and it does not learn",
        ARTICLE,
        f"The output goes from {runs['first_output']:.4f} to {last:.4f}; "
        f"{100 * runs['saturated_hidden']:.0f} % of the hidden units and "
        f"{'the' if saturated else 'not the'} output saturated at the start.",
        abs(last - TARGET) > TOLERANCE and saturated,
        figures={"output": last},
    )


def trains(found: Mapping[str, Any], start: Start) -> Claim:
    """Nearly all runs of a start reach the target."""
    share, series = (share_of(found, start, rule) for rule in RULES)
    return Claim(
        f"{start.name}: this start trains the network",
        f"{ARTICLE}, shows it once",
        f"{share} reach {TARGET} ± {TOLERANCE}; by the series' rule {series}.",
        share.nearly_all,
        f"Holds if the first interval is above {100 * NEARLY_ALL:.0f} %, refuted if below.",
        {"share": share.value, "series": series.value},
    )


def compare_paired(found: Mapping[str, Any], better: Start, worse: Start, rule: str) -> Claim:
    """A start is better than another, seed by seed."""
    first, second = (
        (start.name, list(map(float, found[start.name][rule]["reached"])))
        for start in (better, worse)
    )
    gap = difference(first, second, family=1)
    mean, low, high = 100 * gap.interval.mean, 100 * gap.interval.low, 100 * gap.interval.high
    return Claim(
        f"{better.name}: better than {worse.name}, {RULE_NAMES[rule]}",
        f"{ARTICLE}, shows each once",
        f"The share of runs that reach the target differs by {mean:+.1f} points ({low:+.1f} to "
        f"{high:+.1f}; p = {gap.p:.2g}) over {len(first[1])} pairs.",
        mean > 0 if gap.found else None,
        "" if gap.found else "The paired sign-flip test finds no difference.",
        {"difference": mean / 100, "p": gap.p},
    )


def one_run(found: Mapping[str, Any]) -> Claim:
    """One run is enough to judge by."""
    chances = {
        (start.name, rule): disagree(share_of(found, start, rule))
        for start in RANDOM
        for rule in RULES
    }
    least, most = (
        max((chance, name) for (name, rule), chance in chances.items() if rule == other)
        for other in RULES
    )
    return Claim(
        "One run shows whether a start works",
        f"the way of {ARTICLE}",
        f"Two runs of one start end unlike with a chance of at most {100 * least[0]:.1f} % by "
        f"gradient descent ({least[1]}), and of up to {100 * most[0]:.0f} % by the series' rule "
        f"({most[1]}).",
        max(chances.values()) < 1 - NEARLY_ALL,
        f"Holds if every chance is below {100 * (1 - NEARLY_ALL):.0f} %.",
        {"descent": least[0], "series": most[0]},
    )
