"""The trial of starts: its list, its protocol, its sweep that goes on, its page."""

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from bench.lines import append, claimed

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def protocol() -> ModuleType:
    from bench.starts import protocol

    return protocol


@pytest.fixture(scope="module")
def records() -> ModuleType:
    from bench.starts import records

    return records


@pytest.fixture(scope="module")
def small(records: ModuleType) -> Any:
    """An architecture of the first half, under both optimizers."""
    from bench.starts import data, objectives
    from bench.starts.architecture import Architecture

    def build() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))

    named = (Architecture(f"small/{n}", build, data.digits, objectives.CLASSES) for n in range(99))
    return next(one for one in named if one.half == "first" and len(one.optimizers) == 2)


def test_the_list_is_the_one_that_was_committed_before_the_first_run() -> None:
    from bench.starts.architectures import ALL

    names = "\n".join(f"{one.name} {one.half} {one.optimizers}" for one in ALL)
    assert len(ALL) == len({one.name for one in ALL}) == 100
    assert [one.half for one in ALL] == sorted(one.half for one in ALL)
    assert hashlib.sha256(names.encode()).hexdigest()[:16] == "7457a46507d77a9e"


def test_architectures_written_here_learn_something_from_their_data() -> None:
    """One step of each gives finite losses and gradients, and chance is a figure above zero."""
    from bench.starts.architectures import ALL

    own = [one for one in ALL if one.name.partition("/")[0] not in ("timm", "transformers")]
    assert len(own) == 35
    for one in own:
        torch.manual_seed(0)
        model = one.build()
        loss, figure = one.objective.step(model, *one.draw_batch(torch.Generator().manual_seed(0)))
        loss.backward()
        assert torch.isfinite(figure), one.name
        assert 0 < one.chance < 4, one.name
        assert any(parameter.grad is not None for parameter in model.parameters()), one.name


def test_rates_are_walked_until_the_best_has_a_neighbour_on_both_sides(
    protocol: ModuleType,
) -> None:
    seen = protocol.walk((-7, -6, -5), lambda power: abs(power + 3.9))
    assert sorted(seen) == [-7, -6, -5, -4, -3]
    assert protocol.choose(seen) == (-4, -3)
    falling = protocol.walk((-7, -6, -5), lambda power: -power)
    assert max(falling) == protocol.HIGHEST
    equal = protocol.walk((-7, -6, -5), lambda power: 1.0)
    assert min(equal) == protocol.LOWEST


def test_losses_are_bounded_by_chance(protocol: ModuleType) -> None:
    bounded = [protocol.bound(loss, 2.0) for loss in (None, 7.0, 1.5, 1e-9)]
    assert bounded == [2.0, 2.0, 1.5, 0.02]


def test_a_line_that_was_cut_off_is_dropped_and_its_cell_run_again(
    small: Any, records: ModuleType, tmp_path: Path
) -> None:
    path = records.path_of(small.name, tmp_path)
    path.write_text('{"optimizer": "adamw", "start": "auto", "pha', "utf-8")
    assert records.read(path) == []
    with claimed(path) as mine:
        assert mine
        assert path.read_bytes() == b""
        with claimed(path) as other:
            assert not other
        append(path, records.Cell("adamw", "own", "tuning", -7, losses=[[1.0], [None]]))
    assert json.loads(path.read_text("utf-8"))["losses"] == [[1.0], [None]]


def test_a_sweep_goes_on_and_ends_as_one_that_was_not_stopped(
    small: Any, records: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.starts import sweep, train

    monkeypatch.setattr(train, "CHECKPOINTS", (4, 8))
    monkeypatch.setattr(train, "WINDOW", 2)
    monkeypatch.setattr(sweep, "TUNING_STEPS", 4)
    monkeypatch.setattr(sweep, "STEPS", 8)
    monkeypatch.setattr(
        sweep, "FRESH_SEEDS", {"best": range(100, 101), "neighbour": range(106, 107)}
    )
    monkeypatch.setattr(sweep, "TUNING_SEEDS", range(1))
    monkeypatch.setattr(sweep, "STARTS", {"auto": None, "own": None})
    path = records.path_of(small.name, tmp_path)
    sweep.Sweep(small, path).run()
    whole = [(cell.key, cell.losses) for cell in records.read(path)]
    assert {key[0] for key, _ in whole} == {"adamw", "sgd"}
    assert all(len(row) == 2 for key, losses in whole for row in losses if key[2] == "best")
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-2]), "utf-8")
    sweep.Sweep(small, path).run()
    assert [(cell.key, cell.losses) for cell in records.read(path)] == whole
    monkeypatch.setattr(sweep, "train", None)  # nothing is left to run
    sweep.Sweep(small, path).run()


def test_results_of_other_rules_are_run_again_and_the_newest_count(
    small: Any, records: ModuleType, tmp_path: Path
) -> None:
    old, new, own = (
        records.Cell("adamw", start, "best", -6, rules, [[loss, loss]])
        for start, rules, loss in (("auto", "a", 1.0), ("auto", "b", 2.0), ("own", None, 3.0))
    )
    path = records.path_of(small.name, tmp_path)
    for cell in (old, own, new):
        append(path, cell)
    kept = records.current(records.read(path))
    assert [cell.losses[0][0] for cell in kept.values()] == [3.0, 2.0]


def test_a_start_that_raises_is_a_result(
    small: Any, records: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.starts import starts, sweep

    def refuse(*_: object) -> None:
        raise ValueError("no such model.")

    monkeypatch.setattr(sweep, "STARTS", {"lsuv": None})
    monkeypatch.setitem(starts.STARTS, "lsuv", refuse)
    path = records.path_of(small.name, tmp_path)
    sweep.Sweep(small, path).run()
    assert {cell.raised for cell in records.read(path)} == {"ValueError: no such model"}


def _write(records: ModuleType, folder: Path, architecture: Any, level: dict[str, Any]) -> None:
    """All fresh cells of an architecture; each start's losses lie around its level of chance."""
    folder.mkdir(exist_ok=True)
    for optimizer in architecture.optimizers:
        for start, share in level.items():
            if share == "raised":
                cell = records.Cell(optimizer, start, "tuning", -7, raised="ValueError: no")
                append(records.path_of(architecture.name, folder), cell)
                continue
            for phase in ("best", "neighbour"):
                losses = [[share * 2.3 * (1 + 0.01 * n)] * 2 for n in range(6)]
                cell = records.Cell(optimizer, start, phase, -6, losses=losses)
                append(records.path_of(architecture.name, folder), cell)


LEVELS = {"auto": 0.5, "own": 0.6, "torch": 0.5, "xavier": 0.4, "lsuv": 1.2, "anyinit": "raised"}


def _architectures(small: Any) -> list[Any]:
    from bench.starts.architecture import Architecture

    named = [
        Architecture(f"made/{n:02}", small.build, small.load, small.objective) for n in range(16)
    ]
    return sorted(named, key=lambda one: (one.half, one.number))


def test_the_page_judges_nothing_before_all_runs_are_there(
    small: Any, records: ModuleType, tmp_path: Path
) -> None:
    from bench.starts import report

    made = _architectures(small)
    for one in made[:-1]:
        _write(records, tmp_path / "runs", one, LEVELS)
    page = report.write(made, tmp_path / "runs", tmp_path / "docs")[0].read_text("utf-8")
    assert "The trial is not complete" in page
    assert "The first half" in page
    assert "The second half" not in page
    assert "Goals" not in page
    hidden = [one.name for one in made if one.half == "second"]
    assert hidden
    assert not any(f"`{name}" in page for name in hidden)


def test_the_page_of_a_whole_trial_tells_who_is_better_and_judges_the_goals(
    small: Any, records: ModuleType, tmp_path: Path
) -> None:
    from bench.starts import judge, report

    made = _architectures(small)
    for one in made:
        level = LEVELS | {"anyinit": 0.5 if one.half == "second" else "raised"}
        _write(records, tmp_path / "runs", one, level)
    page = report.write(made, tmp_path / "runs", tmp_path / "docs")[0].read_text("utf-8")
    cases = judge.read_cases([one for one in made if one.half == "second"], tmp_path / "runs")
    assert {case.optimizer for case in cases} == {"adamw", "sgd"}
    words = {other: set(judge.compare(cases, other, 1).words) for other in report.OTHERS}
    assert words == {
        "own": {"better"},
        "torch": {"same"},
        "xavier": {"worse"},
        "lsuv": {"better"},
        "anyinit": {"same"},
    }
    assert judge.compare(cases, "own", 0).ratio.mean == pytest.approx(0.5 / 0.6)
    assert all(case.fails("lsuv") and not case.fails("auto") for case in cases)
    held = [goal.holds for goal in judge.judge(cases)]
    assert held == [True, True, True, False] * 2 + [True]
    assert "does not hold" in page
    for half in ("first", "second"):
        assert (tmp_path / "docs" / f"starts-{half}.svg").read_text("utf-8").startswith("<svg")
