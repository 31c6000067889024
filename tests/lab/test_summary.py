import io
from collections.abc import Callable

import pytest
from rich.console import Console

from fanin.lab import Comparison
from fanin.lab.summary import cells, headline

Make = Callable[..., Comparison]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            {"a": [0.9, 0.91, 0.92], "b": [0.5, 0.51, 0.52]},
            "a has the highest mean test accuracy, 91.0 %, clear of all others. "
            "None of 6 runs failed.",
        ),
        (
            {"a": [0.9, 0.91, 0.92], "b": [0.5, 0.51, 0.52], "c": [0.9, 0.9, 0.91]},
            "a has the highest mean test accuracy, 91.0 %, but this run cannot tell it from c; "
            "b lies below. None of 9 runs failed.",
        ),
        (
            {"a": [0.9], "b": [0.5]},
            "a has the highest mean test accuracy, 90.0 %, but one seed gives no interval, so "
            "this run ranks nothing. None of 2 runs failed.",
        ),
        ({"a": [0.9, 0]}, "a reached 45.0 % test accuracy. 1 of 2 runs failed."),
        (
            {"a": [0.9, 0.8], "b": [0.9, 0.7]},
            "a has the highest mean test accuracy, 85.0 %, but this run cannot tell it from "
            "any other. None of 4 runs failed.",
        ),
        (
            {**{name: [0.9, 0.91, 0.92] for name in "abcde"}, "f": [0.5, 0.51, 0.52]},
            "a has the highest mean test accuracy, 91.0 %, but this run cannot tell it from "
            "4 of the other 5; f lies below. None of 18 runs failed.",
        ),
    ],
)
def test_the_headline_claims_what_the_intervals_show(
    make: Make, rows: dict[str, list[float]], expected: str
) -> None:
    assert headline(make(rows)) == expected


def test_cells(make: Make) -> None:
    comparison = make({"a": [0.9, 0.92], "b": [0.5, 0], "c": [0.9, 0.9]})
    rows = [cells(comparison, row) for row in comparison.rows]
    assert rows == [
        ("a", "91.0 % *", "78.3 to 103.7", "7 (1 of 2)", "0 of 2"),
        ("b", "25.0 % ~", "-292.7 to 342.7", "7 (1 of 2)", "1 of 2"),
        ("c", "90.0 % ~", "90.0 to 90.0", "7 (1 of 2)", "0 of 2"),
    ]
    single = make({"a": [0.9]})
    assert cells(single, single.rows[0])[2] == "undefined"


def test_the_table_reads_no_markup_and_fits_80_columns(make: Make) -> None:
    console = Console(width=80, file=io.StringIO())
    console.print(make({"[red]a[/red]": [0.9, 0.8], "uniform(-0.5, 0.5)": [0.1, 0]}).table())
    text = console.file.getvalue()
    assert "[red]a[/red]" in text
    assert "uniform(-0.5, 0.5) │" in text
    caption = "images made by hand. 20 training and 1000 test images, 1 epoch, batch size 1"
    assert caption in " ".join(text.split())
