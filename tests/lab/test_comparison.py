import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fanin import FaninError
from fanin.lab import Comparison, compare, comparison

SMALL = {"seeds": 2, "train": 60, "test": 50, "epochs": 1, "data": "digits"}
ROWS = ["torch", "he_normal", "zeros"]


@pytest.fixture(scope="module")
def result() -> Comparison:
    return compare(ROWS, first_seed=10, **SMALL)  # type: ignore[arg-type]


def test_a_comparison_has_one_trial_for_each_row_and_seed(result: Comparison) -> None:
    assert [row.name for row in result.rows] == ROWS
    assert all([trial.seed for trial in row.trials] == [10, 11] for row in result.rows)
    assert all(len(trial.losses) == 60 for row in result.rows for trial in row.trials)
    assert result.classes == 10
    assert "resized from 8x8 to 28x28 (bilinear)" in result.note


def test_a_trial_is_the_same_in_another_comparison(result: Comparison) -> None:
    other = compare(["he_normal"], first_seed=11, **{**SMALL, "seeds": 1})  # type: ignore[arg-type]
    here, there = result.rows[1].trials[1], other.rows[0].trials[0]
    np.testing.assert_allclose(here.losses, there.losses, rtol=1e-3, atol=1e-4)


def test_many_trials_are_trained_in_several_stacks(
    result: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "IMAGES_IN_A_STEP", 4)
    again = compare(ROWS, first_seed=10, **SMALL)  # type: ignore[arg-type]
    for row, same in zip(result.rows, again.rows, strict=True):
        for trial, twin in zip(row.trials, same.trials, strict=True):
            np.testing.assert_allclose(trial.losses, twin.losses, rtol=1e-3, atol=1e-4)


def test_results_do_not_depend_on_the_number_of_threads(result: Comparison) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    other = compare(ROWS, first_seed=10, **SMALL)  # type: ignore[arg-type]
    assert torch.get_num_threads() == (1 if threads > 1 else 2)
    torch.set_num_threads(threads)
    for row, same in zip(result.rows, other.rows, strict=True):
        for trial, twin in zip(row.trials, same.trials, strict=True):
            np.testing.assert_array_equal(trial.losses, twin.losses)
            assert trial.accuracies == twin.accuracies


def test_all_zeros_is_stuck_and_counted(result: Comparison) -> None:
    assert result.rows[2].failed == 2
    assert result.best is not result.rows[2]


def test_saved_files(result: Comparison, tmp_path: Path) -> None:
    report, numbers = result.save(tmp_path / "out")
    assert (report.name, numbers.name) == ("report.html", "results.json")
    assert "he_normal" in report.read_text()
    content = json.loads(numbers.read_text())
    assert [row["initializer"] for row in content["rows"]] == ROWS


def test_progress_lines_where_stderr_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    compare(["torch"], progress=True, **SMALL)  # type: ignore[arg-type]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("training 1 x 2 networks: 100 %, ")
    assert len(err.splitlines()) == 10


def test_it_learns_real_digits() -> None:
    # Chance is 10 %. Fixed seed; the margin is for other CPUs' rounding.
    (row,) = compare(["he_normal"], seeds=1, train=400, test=200, epochs=1, data="mnist").rows
    assert row.trials[0].accuracy > 0.6
    assert row.trials[0].verdict == "learned"


def test_nothing_is_trained_where_one_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "train", lambda *args: pytest.fail("trained"))
    with pytest.raises(FaninError, match="unknown initializer"):
        compare(["torch", "he_norml"], **SMALL)  # type: ignore[arg-type]
    with pytest.raises(FaninError, match="asks for 1798 images, but digits holds 1797"):
        compare(["torch"], **{**SMALL, "train": 1748})  # type: ignore[arg-type]
