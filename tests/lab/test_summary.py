import io
from collections.abc import Callable

from rich.console import Console

from fanin.lab import Comparison
from fanin.lab.summary import cells, notes

Make = Callable[..., Comparison]


def test_cells(make: Make) -> None:
    comparison = make({"a": [0.9, 0.92], "b": [0.5, 0], "c": [0.9, 0.9]})
    rows = [cells(comparison, row) for row in comparison.rows]
    assert rows == [
        ("a", "91.0 % *", "78.3 to 103.7", "9 (1 of 2)", "0 of 2"),
        ("b", "25.0 % ~", "-292.7 to 342.7", "9 (1 of 2)", "1 of 2 (1 nan)"),
        ("c", "90.0 % ~", "90.0 to 90.0", "9 (1 of 2)", "0 of 2"),
    ]
    single = make({"a": [0.9]})
    assert cells(single, single.rows[0])[2] == "undefined"


def test_regression_shows_r_squared(make: Make) -> None:
    comparison = make({"a": [0.9, 0.92]}, task="regression")
    assert cells(comparison, comparison.rows[0])[1:3] == ("0.910 *", "0.783 to 1.037")


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
    caption = "images made by hand. 20 training and 1000 test images, 1 epoch, batch size 1"
    assert caption in " ".join(text.split())


def test_the_notes_say_what_was_tested(make: Make) -> None:
    rows = {"a": [0.9, 0.8], "b": [0.5, 0.4]}
    text = " ".join(notes(make(rows, optimizer="sgd", clip_norm=1)))
    assert "2 seeds are too few" in text
    assert (
        "sgd at 0.001, gradients clipped at norm 1, cross_entropy loss; network cnn2, relu" in text
    )
    assert "(all sign flips), Holm's correction for 1 comparisons, two-sided at 0.05" in text
    assert "stuck, it is not below 2.3 - 0.1: it never left ln C" in text
