"""The calibration of warnings: what following them comes to, and its tables."""

from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("mlxtend")

from bench.calibration.families.grid import BY_NAME, CELLS
from bench.calibration.families.report import Run, check
from bench.calibration.tables import PAGE, written
from bench.calibration.warned import report, train
from bench.calibration.warned.train import Result, change_of, compare, kind_of
from fanin.checks import Finding

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        ([0.9, 0.9, 0.9, 1.1], "improved"),
        ([0.5, 0.5, 1.1, 1.1], "same"),  # of two seeds alone
        ([0.99, 0.99, 0.99, 0.99], "same"),
        ([1.1, 1.1, 1.1, 0.9], "worse"),
    ],
)
def test_the_rule(after: list[float], outcome: str) -> None:
    assert compare([1.0] * 4, after) == outcome


@pytest.mark.parametrize(
    ("outcomes", "known"),
    [("", False), ("i" * 7, False), ("i" * 8, True), ("io", False), ("ioo", True)],
)
def test_a_rule_is_trained_until_it_is_known(outcomes: str, known: bool) -> None:
    words = {"i": "improved", "o": "same"}
    assert train.is_known([words[each] for each in outcomes]) == known


def finding(id: str, measured: str, fix: str) -> Finding:
    return Finding(id, "warning", "", measured, "", "", "", fix)


def test_parts_of_a_rule_are_told_apart() -> None:
    assert kind_of(finding("F03", "gradients along a residual stream of 4", "")) == "F03 streams"
    assert kind_of(finding("F03", "gradient 0.1", "")) == "F03"


def test_advice_to_build_another_network_and_none() -> None:
    run = Run(next(cell for cell in CELLS if cell.depth == 8), "adamw")
    none: Any = None
    other = change_of(run, none, [finding("F16", "", "Wider layers, fewer of them.")])
    assert other is not None
    assert (other[0].cell.depth, other[1]) == (4, None)


def test_advice_is_followed_as_recorded() -> None:
    recorded = train.results()
    name = "regression/raw table/none/sigmoid/1x16/auto"
    run, result = Run(BY_NAME[name], recorded[name].optimizer), recorded[name]
    again = train.work(run, result.rate, {})
    assert again.warnings == result.warnings
    assert again.outcome("F13 targets") == result.outcome("F13 targets") == "improved"


def test_results_are_of_cells_and_their_seeds() -> None:
    for name, result in train.results().items():
        assert name in BY_NAME
        kinds = {kind for kind, *_ in result.warnings}
        for kind, losses in result.followed.items():
            assert kind in kinds
            assert len(losses) == len(result.plain) == len(train.PAIRS)


def test_tables() -> None:
    name = CELLS[0].name
    result = Result(name, "adamw", 0.01, [["F03", "", ""]], [1.0] * 4, {"F03": [0.5] * 4})
    now = {name: report.Said(frozenset({"F03"}), error=False)}
    assert "| [F03](F03.md) | 1 | 1 | 0 | 0 | 1 of 1 |" in report.by_rule([result], now)
    now = {name: report.Said(frozenset(), error=False)}
    assert "| [F03](F03.md) | 1 | 1 | 0 | 0 | note |" in report.by_rule([result], now)
    starts = {
        ("own", "a"): report.Said(frozenset({"F03"}), error=False),
        ("own", "b"): report.Said(frozenset(), error=True),
        ("auto", "a"): report.Said(frozenset(), error=False),
    }
    text = report.of_starts(starts)
    assert "| `own` | 2 | 50% | 1 | [F03](F03.md) 1 |" in text
    made = report.parts([result], now, starts)
    page = written(PAGE.read_text("utf-8"), made)
    assert text in page


def test_a_sound_cell_has_no_warning() -> None:
    cell = BY_NAME["regression/table/none/relu/2x64/auto"]
    assert not report.said(check(cell, "adamw")).warned
