"""`fanin compare`: its table and files, flags, and one line for whatever it cannot use."""

from pathlib import Path

import numpy as np
import pytest
import torch

import fanin
from fanin import cli
from fanin.lab.training import runner

SMALL = ["--seeds", "2", "--train", "40", "--test", "30", "--epochs", "1", "--data", "digits"]


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_compare_prints_a_table_and_writes_its_files(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", *SMALL, "--initializers", "torch", "uniform(-0.5, 0.5)", "--out", "o"]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "uniform(-0.5, 0.5)" in out
    assert "resized from 8x8 to 28x28 (bilinear)" in " ".join(out.split())
    assert out.endswith("wrote o/report.html\nwrote o/results.json\nwrote o/results.csv\n")
    names = sorted(path.name for path in Path("o").iterdir())
    assert names == ["report.html", "results.csv", "results.json", "trials.sqlite"]


def write_inputs() -> None:
    Path("taken").touch()
    Path("text.npz").write_text("no archive")
    fanin.plan(torch.nn.Linear(3, 2)).save("other.toml")
    Path("compare_made.py").write_text("import torch\n\nmodel = torch.nn.Linear(2, 2)\n")
    np.savez("keys.npz", a=np.zeros(3))
    np.savez("two\nlines.npz", a=np.zeros(3))
    np.savez("pickle.npz", **dict.fromkeys(comparison_keys(), np.array([{}], object)))
    np.savez("shape.npz", **dict.fromkeys(comparison_keys(), np.zeros((3, 99, 99))))


def comparison_keys() -> tuple[str, ...]:
    return ("x_train", "y_train", "x_test", "y_test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--initializers he_norml", "unknown initializer 'he_norml': did you mean 'he_normal'?"),
        ("--initializers normal(", "initializer 'normal(' is neither a name nor a call"),
        ("--initializers normal(std=-1)", "normal"),
        ("--initializers plan.bak", "unknown initializer 'plan.bak'"),
        ("--initializers zeros other.toml", "row other.toml: the plan has no conv1.weight, conv1"),
        ("--initializers=", "initializer '' is"),
        ("--data=", "data is an empty name"),
        ("--data minst", "did you mean 'mnist'?"),
        ("--data none.npz", "data 'none.npz' is neither a file that exists nor a known name"),
        (
            "--data text.npz",
            "text.npz is not an .npz file of plain arrays (it is no zip arc",
        ),
        ("--data keys.npz", "keys.npz holds a. Store trainimages"),
        ("--data two\nlines.npz", "two lines.npz holds a. Store trainimages"),
        ("--data pickle.npz", "pickle.npz is not an .npz file of plain arrays"),
        ("--data shape.npz", "shape.npz: labels of type float64 and shape (3, 99, 99) are not"),
        ("--model compare_made:model", "'compare_made:model' is a model, Linear: name its class"),
        ("--train -5", "train is -5. Use a whole number of 1 or more."),
        ("--test 0", "test is 0"),
        ("--epochs two", "argument --epochs: invalid int value: 'two'. See fanin compare --help."),
        ("--train 1797 --test 1", "train + test asks for 1798 images, but digits holds 1797"),
        ("--seed -1", "seed is -1; a seed is an integer in [0, 2**64)"),
        ("--seed 18446744073709551616", "seed is 18446744073709551616"),
        ("--lr nan", "lr is nan"),
        ("--out taken", "the folder taken cannot be written (Not a directory)"),
        ("--out=", "the output folder is an empty name"),
        ("--no-such-flag", "unrecognized arguments: --no-such-flag"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    in_folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    message: str,
) -> None:
    monkeypatch.setattr(runner, "train_group", lambda *args: pytest.fail("trained"))
    write_inputs()
    before = sorted(in_folder.rglob("*"))
    assert cli.main(["compare", *SMALL, *arguments.split(" ")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("fanin: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(in_folder.rglob("*")) == before


def test_ctrl_c_is_one_line_and_status_130(
    in_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "train_group", interrupt)
    assert cli.main(["compare", *SMALL]) == 130
    *progress, last = capsys.readouterr().err.splitlines()  # a slow machine tells how far it is
    assert last == "fanin: interrupted at 0 %: nothing is stored"
    assert all(line.startswith("training ") for line in progress)
    assert list(in_folder.iterdir()) == []


def test_help_explains_every_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["compare", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    flags = ("initializers", "seeds", "seed", "data", "train", "test", "epochs", "batch-size")
    flags += ("task", "model", "activation", "optimizer", "lr", "out")
    for flag in (*flags, "target-loss", "depth", "lr-grid", "clip-norm", "baseline", "ray"):
        assert f"--{flag} " in text
    assert text.count("(default: ") == len(flags)
