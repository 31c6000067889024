"""The calibration on eight families: its grid, its trials and its report."""

import hashlib
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("mlxtend")

from bench.calibration.families import report, train
from bench.calibration.families.grid import BY_NAME, CELLS, FAMILIES, RATES, Cell
from bench.calibration.families.starts import build
from bench.calibration.families.tasks import task_of
from bench.calibration.families.train import Trial

pytestmark = pytest.mark.usefixtures("one_thread")


def test_grid_is_the_one_that_was_swept() -> None:
    names = "\n".join(cell.name for cell in CELLS)
    assert len(BY_NAME) == len(CELLS) == 647
    assert hashlib.sha256(names.encode()).hexdigest()[:16] == "49b2d2c595ede815"


def test_every_family_is_in_both_halves() -> None:
    for family, half in itertools.product(FAMILIES, report.HALVES):
        assert sum((cell.family, cell.half) == (family, half) for cell in CELLS) >= 25


@pytest.mark.parametrize("family", FAMILIES)
def test_every_level_is_seen(family: str) -> None:
    mine = [cell for cell in CELLS if cell.family == family]
    for factor, levels in FAMILIES[family].items():
        assert {getattr(cell, factor) for cell in mine} >= set(levels)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_builds_and_runs_from_every_start(family: str) -> None:
    import torch

    small: dict[str, Cell] = {}
    for cell in sorted(CELLS, key=lambda cell: cell.depth * cell.width):
        if cell.family == family:
            small.setdefault(cell.start, cell)
    assert set(small) == set(FAMILIES[family]["start"])
    for cell in small.values():
        task = task_of(cell)
        inputs, targets = task.draw_batch(torch.Generator().manual_seed(0), 8)
        loss, _ = task.objective.step(build(cell, 0), inputs, targets)
        assert loss.ndim == 0, cell.name


def test_a_seed_gives_the_same_network() -> None:
    cell = next(cell for cell in CELLS if cell.start == "own")
    first, again, other = (dict(build(cell, seed).named_parameters()) for seed in (0, 0, 1))
    assert all(first[name].equal(again[name]) for name in first)
    assert not all(first[name].equal(other[name]) for name in first)


def _played(outcomes: dict[float, tuple[int, ...]]) -> Callable[..., tuple[int, float]]:
    return lambda cell, optimizer, rate, seed: (outcomes[rate][seed], 1.0)


def test_two_seeds_that_agree_decide_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    low, middle, high = RATES["adamw"]
    monkeypatch.setattr(
        train, "train", _played({low: (0, 0, 9), middle: (0, 9, 0), high: (9, 0, 8)})
    )
    trial = train.try_out(CELLS[0], "adamw")
    assert trial.reached == [[0, 0], [0, 9, 0], [9, 0, 8]]
    assert trial.trains
    assert trial.networks == 8


def test_a_cell_that_trains_is_not_tried_at_other_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "train", _played(dict.fromkeys(RATES["sgd"], (5, 6, 7))))
    assert train.try_out(CELLS[0], "sgd").reached == [[5, 6]]


@pytest.mark.parametrize("start", ["own", "zeros"])
def test_a_trial_comes_out_as_recorded(start: str) -> None:
    recorded = train.finished()
    cell = next(
        cell
        for cell in sorted(CELLS, key=lambda cell: cell.depth * cell.width)
        if (cell.family, cell.start) == ("regression", start) and (cell.name, "adamw") in recorded
    )
    assert train.try_out(cell, "adamw").trains == recorded[cell.name, "adamw"].trains


def test_every_trial_is_of_a_cell() -> None:
    for (name, optimizer), trial in train.finished().items():
        assert name in BY_NAME
        assert len(trial.reached) <= len(RATES[optimizer])


def _trials(cell: Cell, *, trains: bool) -> list[Trial]:
    row = [9, 9] if trains else [0, 0]
    return [Trial(cell.name, optimizer, [row], [[0.5, None]]) for optimizer in RATES]


def test_report_counts_by_family_and_optimizer() -> None:
    cells = [cell for cell in CELLS if cell.family == "cnn"][:2]

    def look(cell: Cell, optimizer: str) -> Any:
        flagged = cell is cells[1] and optimizer == "adamw"
        finding = SimpleNamespace(id="F02", severity="error")
        return SimpleNamespace(findings=(finding,) if flagged else ())

    found = [
        *report.judge(_trials(cells[0], trains=True), look),
        *report.judge(_trials(cells[1], trains=False), look),
    ]
    lines = report.by_family(found).splitlines()
    assert lines[2].startswith("| cnn | adamw | 1 | 100.0%")
    assert "| 1 | 100.0%" in lines[2]
    assert lines[3].startswith("| cnn | sgd | 1 | 0.0%")
    assert lines[4].startswith("| cnn | both | 2 | 50.0%")
    made = dict(report.parts(found, 8, [f"{cells[1].name}, adamw"]))
    assert f"{cells[1].name}, sgd | fails" in made[f"families {cells[1].half} wrong"]
    assert "| fails to train | 1 | 0 |" in made["families fresh matrix"]
    assert "| trains | 0 | 0 |" in made["families fresh matrix"]


def test_page_has_all_marks() -> None:
    made = list(report.parts(report.judge(_trials(CELLS[0], trains=True), _silent), 2, ()))
    page = report.written(report.PAGE.read_text("utf-8"), made)
    assert all(part in page for _, part in made)


def _silent(cell: Cell, optimizer: str) -> Any:
    return SimpleNamespace(findings=())
