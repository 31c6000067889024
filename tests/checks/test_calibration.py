"""The calibration of `fanin check`: its grid, its trainer, its results and its report."""

import hashlib
import itertools
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def grid() -> ModuleType:
    from bench.calibration import grid

    return grid


@pytest.fixture(scope="module")
def sweep() -> ModuleType:
    from bench.calibration import train

    return train


@pytest.fixture(scope="module")
def report() -> ModuleType:
    from bench.calibration import report

    return report


@pytest.fixture(scope="module")
def results(sweep: ModuleType) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = sweep.finished(sweep.RESULTS)
    return found


def test_grid_is_the_one_that_was_swept(grid: ModuleType) -> None:
    names = "\n".join(cell.name for cell in grid.CELLS)
    assert len(grid.CELLS) == len({cell.name for cell in grid.CELLS})
    assert hashlib.sha256(names.encode()).hexdigest()[:16] == "c05bd05d723c890f"
    assert grid.sample() == list(grid.CELLS[: len(grid.sample())])


def test_all_pairs_of_levels_that_fit_are_seen(grid: ModuleType) -> None:
    from bench.calibration.cover import pairs_of

    seen = {pair for cell in grid.CELLS for pair in pairs_of(cell, grid.LEVELS)}
    for one, other in itertools.combinations(grid.LEVELS, 2):
        for levels in itertools.product(grid.LEVELS[one], grid.LEVELS[other]):
            if ((one, levels[0]), (other, levels[1])) not in seen:
                assert (one, other) == ("depth", "width")
                cell = replace(grid.CELLS[0], depth=levels[0], width=levels[1])
                assert cell.weights > grid.LARGEST


def test_halves_share_no_cell_and_are_alike(grid: ModuleType) -> None:
    halves = [{cell.name for cell in grid.CELLS if cell.half == half} for half in HALVES]
    assert not halves[0] & halves[1]
    assert sum(map(len, halves)) == len(grid.CELLS)
    assert all(0.45 < len(half) / len(grid.CELLS) < 0.55 for half in halves)


HALVES = ("calibration", "report")


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        ([[0, 0, 0], [0, 9, 0], [0, 0, 0]], False),
        ([[0, 0, 0], [0, 9, 0], [8, 0, 7]], True),
        ([[0, 0, 7], [0, 9, 0], [8, 0, 0]], False),
    ],
)
def test_trains_means_most_seeds_at_one_rate(
    grid: ModuleType, reached: list[list[int]], expected: bool
) -> None:
    assert grid.trains(reached) is expected


def test_every_cell_has_a_result(grid: ModuleType, results: dict[str, dict[str, Any]]) -> None:
    assert set(results) == {cell.name for cell in grid.CELLS}


@pytest.mark.parametrize(
    "name", ["digits/plain/none/relu/2x64/he", "digits/residual/batch/tanh/4x16/constant"]
)
def test_a_cell_comes_out_as_recorded(
    name: str, grid: ModuleType, sweep: ModuleType, results: dict[str, dict[str, Any]]
) -> None:
    (cell,) = (one for one in grid.CELLS if one.name == name)
    (found,) = sweep.train([cell])
    assert grid.trains(found["reached"]) == grid.trains(results[name]["reached"])


def test_a_cell_does_not_depend_on_what_it_is_trained_beside(
    grid: ModuleType, sweep: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "STEPS", 60)
    cell = grid.Cell("digits", 2, 16, "relu", "batch", False, "he")
    cells = [replace(cell, start=start) for start in ("he", "zeros", "std 1")]
    together = sweep.train(cells)
    assert grid.trains(together[0]["reached"])
    for one, record in zip(cells, together, strict=True):
        assert sweep.train([one]) == [record]


def _judged(report: ModuleType, grid: ModuleType, depth: int, trains: bool, *errors: str) -> Any:
    cell = grid.Cell("digits", depth, 16, "relu", "none", False, "he")
    return report.Judged(cell, trains, 0.5, errors, ("F16",))


def test_report_counts_both_kinds_of_right(report: ModuleType, grid: ModuleType) -> None:
    found = [
        _judged(report, grid, 2, True),
        _judged(report, grid, 3, True, "F11"),
        _judged(report, grid, 5, False, "F02", "F03"),
        _judged(report, grid, 6, False, "F02"),
        _judged(report, grid, 7, False),
    ]
    assert report.matrix(found) == ["3", "2 (67%)", "2", "1 (50%)"]
    assert report.confusion(found).splitlines()[2].startswith("| fails to train | 2 | 1 | 66.7%")
    assert "| hidden layers | 1 to 4 | 0 | - | 2 | 1 (50%) |" in report.strata(found)
    assert "| [F02](F02.md) | 2 | 1 | 0 |" in report.rules(found)
    assert [line.split("/")[4] for line in report.wrong(found).splitlines()[2:]] == [
        "7x16",
        "3x16",
    ]


def test_report_judges_a_cell_by_its_checkup(report: ModuleType, grid: ModuleType) -> None:
    cell = {**vars(grid.CELLS[0])}
    record = {"cell": cell, "reached": [[0, 0, 0]] * 3, "lowest": [[None, 2.3, 2.2]] * 3}
    finding = SimpleNamespace(id="F02", severity="error")
    one = report.judged(record, lambda cell: SimpleNamespace(findings=(finding, finding)))
    assert one == report.Judged(grid.CELLS[0], False, 2.2, ("F02",), ())
    assert one.right


def test_page_has_all_marks_and_is_written_between_them(
    report: ModuleType, grid: ModuleType
) -> None:
    made = list(report.parts([_judged(report, grid, 2, True), _judged(report, grid, 9, False)]))
    page = report.written(report.PAGE.read_text("utf-8"), made)
    assert all(part in page for _, part in made)
    with pytest.raises(SystemExit, match="has no marks of counts"):
        report.written("", made)
