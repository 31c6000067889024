from collections.abc import Callable, Sequence

import pytest

from fanin.lab import Comparison
from fanin.lab.verdict import verdict, warnings

Make = Callable[..., Comparison]
HIGH = [0.9, 0.91, 0.92, 0.93, 0.94, 0.95]
LOW = [0.5, 0.51, 0.53, 0.52, 0.54, 0.51]
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
            "a has the highest mean test accuracy, 92.5 %, clear of all others.",
        ),
        (
            {"a": HIGH, "b": NEAR},
            "No difference found. a has the highest mean test accuracy, 92.5 %, but this run "
            "cannot tell it from any other; a difference of 1.4 sd (here about 1.6 %) would have "
            "been found four times in five.",
        ),
        (
            {"a": HIGH * 2, "b": LOW * 2, "c": NEAR * 2},
            "a has the highest mean test accuracy, 92.5 %, but this run cannot tell it from c; "
            "b lies below.",
        ),
        (
            {"a": [0.9], "b": [0.5]},
            "a has the highest mean test accuracy, 90.0 %, but one seed gives no interval, so "
            "this run ranks nothing. None of 2 runs failed.",
        ),
        (
            {"a": HIGH[:5], "b": LOW[:5]},
            "a has the highest mean test accuracy, 92.0 %, but 5 seeds can show no difference in "
            "one comparison, whatever its size (smallest adjusted p 0.062): use --seeds 6. None "
            "of 10 runs failed.",
        ),
        (
            {"a": HIGH, "b": LOW, "c": NEAR},
            "a has the highest mean test accuracy, 92.5 %, but 6 seeds can show no difference in "
            "3 comparisons, whatever its size (smallest adjusted p 0.094): use --seeds 7, fewer "
            "rows, or --baseline. None of 18 runs failed.",
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


def names(texts: Sequence[str]) -> str:
    return " ".join(texts)


def test_warnings(make: Make) -> None:
    assert "5 seeds are too few" in names(warnings(make({"a": HIGH[:5]})))
    assert warnings(make({"a": HIGH})) == []
