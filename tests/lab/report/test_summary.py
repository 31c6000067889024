import io
from collections.abc import Callable

import pytest
from rich.console import Console

from fanin.lab import Comparison
from fanin.lab.report.summary import cells, mark, notes

Make = Callable[..., Comparison]


def test_cells(make: Make) -> None:
    comparison = make({"a": [0.9, 0.92], "b": [0.5, 0], "c": [0.9, 0.9]})
    rows = [cells(comparison, row) for row in comparison.rows]
    assert rows == [
        ("a", "91.0 %", "68.2 to 97.9", "14 (1 of 2)", "0 of 2"),
        ("b", "25.0 %", "0.0 to 100.0", "14 (1 of 2)", "1 of 2 (1 nan)"),
        ("c", "90.0 %", "90.0 to 90.0", "14 (1 of 2)", "0 of 2"),
    ]
    single = make({"a": [0.9]})
    assert cells(single, single.rows[0])[2] == "undefined"


def test_regression_shows_r_squared(make: Make) -> None:
    comparison = make({"a": [0.9, 0.92]}, task="regression")
    assert cells(comparison, comparison.rows[0])[1:3] == ("0.910", "0.682 to 0.979")


HIGH = [0.9, 0.91, 0.92, 0.93, 0.94, 0.95] * 2
NEAR = [0.91, 0.9, 0.93, 0.92, 0.95, 0.94] * 2
LOW = [0.5, 0.51, 0.53, 0.52, 0.54, 0.51] * 2


@pytest.mark.parametrize(
    ("rows", "baseline", "expected"),
    [
        ({"a": HIGH, "b": LOW, "c": NEAR}, None, ["*", "", "*"]),
        ({"a": HIGH, "b": LOW}, None, ["*", ""]),
        ({"a": HIGH, "c": NEAR}, None, ["", ""]),
        ({"a": HIGH, "b": LOW, "c": NEAR}, "c", ["~", "-", "="]),
    ],
)
def test_no_row_is_marked_as_the_best_that_is_not_told_apart(
    make: Make, rows: dict[str, list[float]], baseline: str | None, expected: list[str]
) -> None:
    comparison = make(rows, baseline=baseline)
    assert [mark(comparison, row) for row in comparison.rows] == expected


def test_a_factorys_network_has_no_activation_of_ours(make: Make) -> None:
    rows = {"a": [0.9, 0.8]}
    assert "network cnn2, relu. A seed" in " ".join(notes(make(rows)))
    assert "network mine:net. A seed" in " ".join(notes(make(rows, model="mine:net")))
    assert "network mlp of depth 3, gelu." in " ".join(
        notes(make(rows, model="mlp", depth=3, activation="gelu"))
    )


def printed(comparison: Comparison) -> str:
    console = Console(width=80, file=io.StringIO())
    console.print(comparison.table())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_reads_no_markup_and_fits_80_columns(make: Make) -> None:
    text = printed(make({"[red]a[/red]": [0.9, 0.8], "uniform(-0.5, 0.5)": [0.1, 0]}))
    assert "[red]a[/red]" in text
    assert "uniform(-0.5, 0.5) │" in text
    assert "1 of 2 │" in text
    assert "(1 nan) │" in text
    assert "Warning: 2 seeds are too few" in text
    caption = "images made by hand. 20 training and 1000 test images, 1 epoch, batch size 1"
    assert caption in " ".join(text.split())


def test_the_notes_say_what_was_tested(make: Make) -> None:
    rows = {"a": [0.9, 0.8], "b": [0.5, 0.4]}
    text = " ".join(notes(make(rows, optimizer="sgd", clip_norm=1)))
    assert (
        "sgd at 0.001, gradients clipped at norm 1, cross_entropy loss; network cnn2, relu" in text
    )
    assert "(all sign flips), two-sided at 0.05" in text
    more = " ".join(notes(make(rows | {"c": [0.7, 0.6]})))
    assert "(all sign flips), Bonferroni's correction for 3 comparisons, two-sided" in more
    assert "times that of guessing (2.3); stuck, it ended near it, above 2.2. They" in text
