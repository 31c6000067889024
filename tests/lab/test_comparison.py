import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fanin import FaninError
from fanin.lab import Comparison, Interrupted, compare
from fanin.lab.settings import CompareSettings
from fanin.lab.setup import TrialSpec
from fanin.lab.training import group, runner, stacking
from fanin.lab.training.store import NAME
from fanin.lab.training.trial import Trial
from tests.warm import LAB, Done, Warm

SMALL: dict[str, Any] = {"seeds": 2, "train": 60, "test": 50, "epochs": 1, "data": "digits"}
ROWS = ["torch", "he_normal", "zeros"]


@pytest.fixture(scope="module")
def result() -> Comparison:
    return compare(ROWS, first_seed=10, **SMALL)


def assert_same(one: Comparison, two: Comparison, bound: float = 1e-3) -> None:
    for row, same in zip(one.rows, two.rows, strict=True):
        for trial, twin in zip(row.trials, same.trials, strict=True):
            np.testing.assert_allclose(trial.losses, twin.losses, rtol=bound, atol=bound / 10)


def test_a_comparison_has_one_trial_for_each_row_and_seed(result: Comparison) -> None:
    assert [row.name for row in result.rows] == ROWS
    assert all([trial.seed for trial in row.trials] == [10, 11] for row in result.rows)
    assert all(len(trial.losses) == 60 for row in result.rows for trial in row.trials)
    assert result.guess == pytest.approx(np.log(10))
    assert "resized from 8x8 to 28x28 (bilinear)" in result.note
    assert result.how == (f"cnn2 was trained {group.STACKED}",)
    assert result.rows[0].trials[0].signals.layers == ("conv1", "conv2", "head")


def test_a_trial_is_the_same_in_another_comparison(result: Comparison) -> None:
    other = compare(["he_normal"], first_seed=11, **{**SMALL, "seeds": 1})
    here, there = result.rows[1].trials[1], other.rows[0].trials[0]
    np.testing.assert_allclose(here.losses, there.losses, rtol=1e-3, atol=1e-4)


def test_in_several_stacks_or_one_after_another_the_numbers_are_the_same(
    result: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacking, "MODELS_IN_A_STACK", 4)
    assert_same(result, compare(ROWS, first_seed=10, **SMALL))
    monkeypatch.setattr(stacking, "why_not_stacked", lambda *args: "as the test wants")
    alone = compare(ROWS, first_seed=10, **SMALL)
    assert alone.how == ("cnn2 was trained one after another: as the test wants",)
    assert_same(result, alone)


def test_results_do_not_depend_on_the_number_of_threads(result: Comparison) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    other = compare(ROWS, first_seed=10, **SMALL)
    assert torch.get_num_threads() == (1 if threads > 1 else 2)
    torch.set_num_threads(threads)
    assert_same(result, other, bound=0)


def test_all_zeros_is_stuck_and_counted(result: Comparison) -> None:
    assert result.rows[2].failures == {"stuck": 2}
    assert result.best is not result.rows[2]


def test_saved_files(result: Comparison, tmp_path: Path) -> None:
    report, numbers, table = result.save(tmp_path / "out")
    assert (report.name, numbers.name, table.name) == (
        "report.html",
        "results.json",
        "results.csv",
    )
    assert "he_normal" in report.read_text()
    content = json.loads(numbers.read_text())
    assert [row["initializer"] for row in content["rows"]] == ROWS


def test_progress_lines_where_stderr_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    compare(["torch"], progress=True, **SMALL)
    out, err = capfd.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[-1].startswith("training 1 x 2 networks: 100 %, ")
    tenths = {line.partition(",")[0].rpartition(" ")[0].split()[-1] for line in lines}
    assert {"10", "20", "90", "100"} <= tenths
    assert all(" s, about " in line for line in lines if " 50 %" in line)


def test_it_learns_real_digits() -> None:
    # Chance is 10 %. Fixed seed; the margin is for other CPUs' rounding.
    (row,) = compare(["he_normal"], seeds=1, train=400, test=200, epochs=1, data="mnist").rows
    assert row.trials[0].score > 0.6
    assert row.trials[0].verdict == "learned"


def test_nothing_is_trained_where_the_input_is_bad(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "train_group", lambda *args: pytest.fail("trained"))
    for message, changes in (
        ("unknown initializer", {"initializers": ["torch", "he_norml"]}),
        ("asks for 1798 images, but digits holds 1797", {"train": 1748}),
        ("unknown model", {"model": "cnn3"}),
        ("delta_orthogonal", {"initializers": ["torch", "delta_orthogonal"]}),
        ("unknown setting 'epoch': did you mean 'epochs'", {"epoch": 3}),
    ):
        with pytest.raises(FaninError, match=message):
            compare(**{**SMALL, "initializers": ["torch"], "folder": tmp_path, **changes})
    assert list(tmp_path.iterdir()) == []


def test_finished_trials_are_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compare(ROWS[:2], folder=tmp_path, **SMALL)
    more = compare(ROWS, folder=tmp_path, **SMALL)
    assert (first.run["found_finished"], more.run["found_finished"]) == (0, 4)
    assert_same(first, compare(ROWS[:2], folder=tmp_path, **SMALL), bound=0)
    fresh = compare(ROWS[:2], folder=tmp_path, fresh=True, **SMALL)
    assert (fresh.run["found_finished"], fresh.run["trained"]) == (0, 4)
    monkeypatch.setattr(runner, "train_group", lambda *args: pytest.fail("trained"))
    assert compare(ROWS[:2], folder=tmp_path, target_loss=0.1, **SMALL).run["trained"] == 0


def test_in_several_processes_the_numbers_are_the_same(
    result: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stacking, "MODELS_IN_A_STACK", 3)
    here = compare(ROWS, first_seed=10, **SMALL)
    monkeypatch.setattr(runner, "WORTH_A_PROCESS", 0)
    monkeypatch.setattr(runner, "train_group", lambda *args: pytest.fail("trained here"))
    assert_same(here, compare(ROWS, first_seed=10, workers=2, **SMALL), bound=0)


def inputs_of(kind: str) -> np.ndarray:
    """60 inputs in two classes that any network can tell apart."""
    chance, labels = np.random.default_rng(0), np.arange(60) % 2
    if kind == "color":
        return (chance.random((60, 20, 16, 3)) * 100 + 155 * labels[:, None, None, None]).astype(
            "u1"
        )
    if kind == "table":
        return chance.normal(size=(60, 7)) + 3 * labels[:, None]
    return chance.integers(0, 5, (60, 9)) + 5 * labels[:, None]


@pytest.mark.parametrize(
    ("kind", "model", "how"),
    [
        ("color", "cnn2", "images"),
        ("table", "mlp", "rows"),
        ("tokens", "mlp", "sequences"),
        ("tokens", "transformer", "sequences"),
    ],
)
def test_data_of_every_kind(kind: str, model: str, how: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "my.npz", x=inputs_of(kind), y=np.arange(60) % 2)
    settings: dict[str, Any] = {"data": str(tmp_path / "my.npz"), "model": model, "seeds": 1}
    settings |= {"train": 40, "test": 20, "epochs": 15, "batch_size": 10}
    settings["lr"] = 0.001 if kind == "color" else 0.01
    found = compare(["auto", "he_normal"], **settings)
    assert found.unit == how
    assert found.how == (f"{model} was trained {group.STACKED}",)
    # Chance is 50 %. Fixed seeds; the margin is for other CPUs' rounding.
    assert all(row.score.mean > 0.8 for row in found.rows)


def test_numbers_to_predict_from_a_table(tmp_path: Path) -> None:
    inputs = inputs_of("table")
    np.savez(
        tmp_path / "my.npz",
        x_train=inputs,
        y_train=inputs[:, 0],
        x_test=inputs,
        y_test=inputs[:, 0],
    )
    settings: dict[str, Any] = {"data": str(tmp_path / "my.npz"), "model": "mlp", "seeds": 1}
    settings |= {"train": 40, "test": 20, "epochs": 15, "batch_size": 10, "lr": 0.01}
    (row,) = compare(["auto"], task="regression", **settings).rows
    assert row.score.mean > 0.7
    with pytest.raises(FaninError, match=r"not class numbers.*the task is regression"):
        compare(["auto"], **settings)


def test_a_damaged_file_is_kept_unless_all_is_to_be_fresh(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("no database" * 99)
    with pytest.raises(FaninError, match="is damaged"):
        compare(["torch"], folder=tmp_path, **SMALL)
    assert (tmp_path / NAME).read_text() == "no database" * 99
    assert compare(["torch"], folder=tmp_path, fresh=True, **SMALL).run["trained"] == 2


def test_rates_and_depths() -> None:
    result = compare(
        ["he_normal", "zeros"],
        model="deep_mlp",
        depth=2,
        depths=(2, 3),
        batch_size=10,
        lr_grid=(0.01, 1e-6),
        **SMALL,
    )
    he = result.rows[0]
    assert he.rate.lr == 0.01
    assert [one.lr for one in he.rate.tried] == [0.01, 1e-6]
    assert [list(row.trials) for row in result.depths] == [[2, 3], [2, 3]]
    assert result.depths[0].trials[2][0] is he.trials[0]
    assert result.depths[1].starts_to is None
    # 8 tuning trials, 4 of the comparison, which has depth 2, and 4 of depth 3.
    assert result.run["trained"] == 16


@pytest.mark.parametrize("names", [np.ones((2, 3)), {"torch"}, "torch", [], [1], 3])
def test_what_is_no_list_of_names(names: Any) -> None:
    with pytest.raises(FaninError, match=r"^initializers is "):
        compare(names, **SMALL)


@pytest.mark.parametrize("name", ["", "\ud800", "x" * 3000, "a\0b"])
def test_folders_that_cannot_be(name: str) -> None:
    with pytest.raises(FaninError, match="folder"):
        compare(ROWS, folder=name, **SMALL)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *[("fresh", np.ones(2)), ("fresh", 1), ("progress", "yes")],
        *[("workers", set()), ("workers", 0), ("ray", np.ones(2))],
    ],
)
def test_wrong_arguments_of_the_run(argument: str, value: object) -> None:
    with pytest.raises(FaninError, match=f"^{argument} is "):
        compare(ROWS, **SMALL, **{argument: value})


def test_ctrl_c_ends_with_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stacking, "MODELS_IN_A_STACK", 2)
    real = runner.train_group
    calls = []

    def second_stops(*arguments: Any) -> list[Trial]:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(runner, "train_group", second_stops)
    with pytest.raises(Interrupted) as stopped:
        compare(ROWS, folder=tmp_path, **SMALL)
    assert str(stopped.value) == (
        f"interrupted at 33 %: 2 of 6 trials are kept in {tmp_path}; the same command goes on "
        "from there"
    )
    found = stopped.value.found
    assert [row.name for row in found.rows] == ["torch"]
    assert found.table().row_count == 1
    assert found.table().title == "interrupted at 33 %"
    assert compare(ROWS, folder=tmp_path, **SMALL).run["found_finished"] == 2


COMMAND = ["compare", "--data", "digits", "--seeds", "2", "--train", "200", "--test", "20"]
COMMAND += ["--epochs", "1", "--initializers", *ROWS, "he_uniform"]
MAIN = """
import os, signal, sys
from fanin.lab.training import checkpoint, stacking, store
from fanin.cli import main
stacking.MODELS_IN_A_STACK = 4
def kill():
    os.kill(os.getpid(), signal.SIGKILL)
"""
BETWEEN = """
save = store.Store.save
store.Store.save = lambda *arguments: (save(*arguments), kill())
"""
WITHIN = """
checkpoint.EVERY = 0.0
save = checkpoint.save_file
def save_file(tensors, path):
    save(tensors, path)
    if len(tensors["losses"]) == 50:
        kill()
checkpoint.save_file = save_file
"""


def started(lab: Warm, folder: Path, killed: str = "") -> Done:
    code = f"{MAIN}{killed}\nsys.exit(main(sys.argv[1:]))"
    done = lab.run(code, *COMMAND, "--out", str(folder))
    assert done.returncode == (-9 if killed else 0), done.stderr
    return done


def without_run(folder: Path) -> str:
    """The text of results.json up to the object `run`, which is its last."""
    text = (folder / "results.json").read_text()
    head, mark, _ = text.partition('\n "run": {')
    assert mark
    return head


def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(
    warm: Callable[[str], Warm], tmp_path: Path
) -> None:
    lab = warm(LAB)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    started(lab, whole)
    started(lab, killed, WITHIN)
    # The state of step 49, and that of step 50, which was not whole: it stays under another name.
    assert [path.name for path in killed.iterdir()] == ["unfinished"]
    assert len(list((killed / "unfinished").iterdir())) == 2
    went_on = started(lab, killed, BETWEEN)
    assert "training 4 x 2 networks: 12 %, " in went_on.stderr
    started(lab, killed)
    facts = json.loads((killed / "results.json").read_text())["run"]
    assert (facts["found_finished"], facts["trained"]) == (4, 4)
    assert without_run(killed) == without_run(whole)
    assert (killed / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
    files = ["report.html", "results.csv", "results.json", NAME]
    assert sorted(path.name for path in killed.iterdir()) == files


def test_batches_depend_on_the_list_alone() -> None:
    setup = CompareSettings(**SMALL).setup
    specs = [TrialSpec(setup, "zeros", seed, 0.1 if seed % 2 else 0.01) for seed in range(100)]
    planned = group.schedule(specs).groups
    assert [len(one.specs) for one in planned] == [50, 50]
    assert [spec.lr for one in planned for spec in one.specs] == [0.01] * 50 + [0.1] * 50
