from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from fanin.lab import Comparison
from fanin.lab.report.verdict import verdict, warnings

Make = Callable[..., Comparison]
HIGH = [0.9, 0.91, 0.92, 0.93, 0.94, 0.95]
LOW = [0.5, 0.51, 0.53, 0.52, 0.54, 0.51]
WILD = [0.6, *[0.963] * 11]
LOWER = [score - 0.01 for score in HIGH * 2]
NEAR = [0.91, 0.9, 0.93, 0.92, 0.95, 0.94]


def sentence(make: Make, rows: dict[str, list[float]], baseline: str | None = None) -> str:
    text = verdict(make(rows, baseline=baseline))
    return text.partition(" To a training loss")[0].partition(" No run reached")[0]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ({"a": HIGH}, "a reached 92.5 % test accuracy. None of 6 runs failed."),
        (
            {"a": HIGH, "b": LOW},
            "a is best, with 92.5 % mean test accuracy, clear of all others.",
        ),
        (
            {"a": HIGH, "b": NEAR},
            "No difference found: mean test accuracy is 92.5 %; a difference of 1.4 sd (here about "
            "1.6 pp) would have been found four times in five.",
        ),
        (
            {
                "a": HIGH * 2,
                "b": LOW * 2,
                "c": [score - 0.004 * (-1) ** n for n, score in enumerate(NEAR * 2)],
            },
            "Not told apart: a and c, with 92.5 % mean test accuracy. b lies below, at 51.8 %.",
        ),
        (
            {"a": WILD, "b": HIGH * 2, "c": LOWER},
            "None is best: a has the highest mean test accuracy, 93.3 %, and no row is clearly "
            "below it. Other rows do differ: b above c.",
        ),
        (
            {"a": [0.9], "b": [0.5]},
            "One seed ranks nothing: mean test accuracy is 50.0 to 90.0 %. None of 2 runs failed.",
        ),
        (
            {"a": HIGH[:5], "b": LOW[:5]},
            "5 seeds can show no difference in one comparison, whatever its size (smallest "
            "adjusted p 0.062): use --seeds 6. The mean test accuracy is 52.0 to 92.0 %. None of "
            "10 runs failed.",
        ),
        (
            {"a": HIGH, "b": LOW, "c": NEAR},
            "6 seeds can show no difference in 3 comparisons, whatever its size (smallest adjusted "
            "p 0.094): use --seeds 7, fewer rows, or --baseline. The mean test accuracy is 51.8 "
            "to 92.5 %. None of 18 runs failed.",
        ),
        ({"a": [*HIGH[:5], 0]}, "a reached 76.7 % test accuracy. 1 of 6 runs failed."),
    ],
)
def test_it_claims_what_the_tests_show(
    make: Make, rows: dict[str, list[float]], expected: str
) -> None:
    assert sentence(make, rows) == expected


def test_against_a_baseline(make: Make) -> None:
    rows = {"a": HIGH * 2, "b": LOW * 2, "c": NEAR * 2}
    assert sentence(make, rows, "c") == "Against c, worse: b; no difference found: a."
    assert sentence(make, rows, "b") == "Against b, better: a, c."


def test_on_steps(make: Make) -> None:
    text = verdict(make({"a": HIGH, "b": LOW}))  # the same losses for every row
    assert "To a training loss of 0.5, no difference found in steps." in text


def test_an_interrupted_run_says_so(make: Make) -> None:
    cut = replace(make({"a": HIGH, "b": LOW}), done=0.309)
    assert verdict(cut).startswith("Interrupted at 30 %. a is best")
    assert warnings(cut)[0].startswith("interrupted at 30 %: networks in training are shown")


def names(texts: Sequence[str]) -> str:
    return " ".join(texts)


def test_warnings(make: Make) -> None:
    assert "5 seeds are too few" in names(warnings(make({"a": HIGH[:5]})))
    assert warnings(make({"a": HIGH})) == []
