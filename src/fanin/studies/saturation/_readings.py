"""Which reading of the series' code prints what the article prints."""

from collections.abc import Mapping, Sequence
from typing import Any

from fanin.studies._study import Claim, Table
from fanin.studies.saturation._network import (
    LARGE_STARTS,
    NORMAL,
    ORDERS,
    RULES,
    SMALL_STARTS,
    SUBTRACTED,
    UNIFORM,
    XAVIER,
    Start,
)

LEAST = 0.01  # of the runs must print a figure for it to be no accident
SMALL_PRINTS, LARGE_PRINTS = "0.50", "0.00"
RANDOM_PRINTS = {UNIFORM: "0.02", NORMAL: "0.01", XAVIER: "0.50"}
NAMES = {
    "descent": "biases subtracted, gradient descent",
    "series": "biases subtracted, the series' rule",
    "added": "biases added",
}


def prints(found: Mapping[str, Any], start: Start, rule: str, figure: str) -> float:
    """The share of a start's runs that end with this output in two digits after the point."""
    counts: Mapping[str, int] = found[start.name][rule]["printed"]
    return counts.get(figure, 0) / sum(counts.values())


def agreements(found: Mapping[str, Any]) -> dict[tuple[str, str], list[bool]]:
    """By order of the numbers and rule of the biases: which of the five figures it prints."""
    agreed = {}
    for order in ORDERS:
        for rule in RULES:
            small = prints(found, SMALL_STARTS[order], rule, SMALL_PRINTS) == 1
            large = prints(found, LARGE_STARTS[order], rule, LARGE_PRINTS) == 1
            others = [
                prints(found, start, rule, figure) > LEAST
                for start, figure in RANDOM_PRINTS.items()
            ]
            agreed[order, rule] = [small, large, *others]
    return agreed


def reading(found: Mapping[str, Any]) -> Claim:
    """One reading prints all five figures."""
    agreed = agreements(found)
    figures = [SMALL_PRINTS, LARGE_PRINTS, *RANDOM_PRINTS.values()]
    whole = [name for name, prints_it in agreed.items() if all(prints_it)]
    saturating = [name for name, prints_it in agreed.items() if prints_it[1]]
    return Claim(
        "One reading of its code gives all that the article prints: "
        f"{', '.join(figures[:-1])} and {figures[-1]}",
        "what the article prints",
        f"Of {len(agreed)} readings these print all: {_tell(whole)}; the most that one prints is "
        f"{max(map(sum, agreed.values()))} of {len(figures)}. {LARGE_PRINTS} is printed by "
        f"{_tell(saturating)}.",
        len(whole) == 1,
        f"A random start prints a figure where more than {100 * LEAST:g} % of its runs do; holds "
        "if it is one reading alone.",
        {"readings": len(whole)},
    )


def _tell(readings: Sequence[tuple[str, str]]) -> str:
    return "; ".join(f"{order}, {NAMES[rule]}" for order, rule in readings) or "none"


def table_fixed(found: Mapping[str, Any]) -> Table:
    """The fixed weights in all four readings."""
    rows = []
    for order in ORDERS:
        for sign, rules in (("added", ("added",) * 2), ("subtracted", SUBTRACTED)):
            cells = []
            for starts in (SMALL_STARTS, LARGE_STARTS):
                runs = found[starts[order].name]
                cells.append(_output(runs[rules[0]]["first_output"]))
                cells += [_output(runs[rule]["last_output"]) for rule in rules]
            rows.append((f"{order}, {sign}", *cells))
    after = ("after descent", "after the series' rule")
    return Table(
        "Outputs from the fixed weights, in four readings",
        ("reading", "small: before", *after, "large: before", *after),
        rows,
        "The numbers fill the hidden weights by rows or by columns, and a layer adds or subtracts "
        "its bias. Where it adds it, the series' rule is gradient descent.",
    )


def _output(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def table_printed(found: Mapping[str, Any]) -> Table:
    """How often each reading prints what the article does."""
    rows = []
    for (order, rule), agreed in agreements(found).items():
        fixed = [
            f"{found[starts[order].name][rule]['last_output']:.2f}"
            for starts in (SMALL_STARTS, LARGE_STARTS)
        ]
        shares = [
            f"{100 * prints(found, start, rule, figure):.1f} %"
            for start, figure in RANDOM_PRINTS.items()
        ]
        rows.append((f"{order}, {NAMES[rule]}", *fixed, *shares, f"{sum(agreed)} of 5"))
    random = (f"{start.name}: {figure}" for start, figure in RANDOM_PRINTS.items())
    return Table(
        "What each reading prints",
        ("reading", f"small: {SMALL_PRINTS}", f"large: {LARGE_PRINTS}", *random, "agree"),
        rows,
        "Beside a start stands what the article prints. Of the fixed weights the printed output, "
        "of the random starts the share of runs that print that figure.",
    )
