import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fanin
from fanin import cli
from fanin.lab import runner

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
        ("--initializers=", "initializer '' is"),
        ("--data=", "data is an empty name"),
        ("--data minst", "did you mean 'mnist'?"),
        ("--data none.npz", "data 'none.npz' is neither a file that exists nor a known name"),
        ("--data text.npz", "text.npz is not an .npz file of plain arrays"),
        ("--data keys.npz", "keys.npz holds a. Store trainimages"),
        ("--data two\nlines.npz", "two lines.npz holds a. Store trainimages"),
        ("--data pickle.npz", "pickle.npz is not an .npz file of plain arrays"),
        ("--data shape.npz", "shape.npz: labels of type float64 and shape (3, 99, 99) are not"),
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
    monkeypatch.setattr(runner, "train_batch", lambda *args: pytest.fail("trained"))
    write_inputs()
    before = sorted(in_folder.rglob("*"))
    assert cli.main(["compare", *SMALL, *arguments.split(" ")]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("fanin: error: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(in_folder.rglob("*")) == before


def test_alone_it_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: fanin")
    assert all(f"\n    {name} " in printed.err for name in ("check", "init", "plan", "verify"))


def test_completion_is_a_librarys(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stands_in = SimpleNamespace(complete=lambda parser, shell: f"{parser.prog} for {shell}")
    monkeypatch.setitem(sys.modules, "shtab", stands_in)
    with pytest.raises(SystemExit) as stop:
        cli.main(["--print-completion", "zsh"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == "fanin for zsh\n"
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["--print-completion", "bash"]) == 2
    assert "pip install 'fanin[completion]'" in capsys.readouterr().err
    assert cli.main(["--print-completion", "fish"]) == 2


def test_ctrl_c_is_one_line_and_status_130(
    in_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "train_batch", interrupt)
    assert cli.main(["compare", *SMALL]) == 130
    assert capsys.readouterr().err == "fanin: interrupted at 0 %: nothing is stored\n"
    assert list(in_folder.iterdir()) == []


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def run_without(libraries: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a new process in which some libraries cannot be imported."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({libraries!r}))\n"
        "from fanin.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    return python(code, *arguments)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["compare", "--help"]])
def test_help_needs_no_library_of_the_lab(arguments: list[str]) -> None:
    done = run_without(cli.LAB_LIBRARIES, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fanin" in done.stdout


@pytest.mark.parametrize("library", cli.LAB_LIBRARIES)
def test_a_missing_library_is_one_line(library: str, tmp_path: Path) -> None:
    data = "digits" if library == "sklearn" else "mnist"
    command = ("compare", "--data", data, "--out", str(tmp_path / "out"))
    done = run_without((library,), *(("gain", "relu") if library == "plotille" else command))
    assert done.returncode == 2
    assert done.stderr.endswith("is missing. Install it: pip install 'fanin[lab]'\n")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_python_dash_m() -> None:
    command = [sys.executable, "-m", "fanin", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"fanin {fanin.__version__}\n"


def test_help_explains_every_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["compare", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    flags = ("initializers", "seeds", "seed", "data", "train", "test", "epochs", "batch-size")
    flags += ("task", "model", "activation", "optimizer", "lr", "out")
    for flag in (*flags, "target-loss", "depth", "lr-grid", "clip-norm", "baseline", "ray"):
        assert f"--{flag} " in text
    assert text.count("(default: ") == len(flags)
