"""`fanin check --widths`: the coordinate check from a shell."""

from pathlib import Path

import pytest

from fanin.cli import main

MODEL = """
from torch import nn

def make(width):
    return nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width))

def fixed():
    return nn.Linear(8, 4)
"""
WORDS = ["check", "--input", "8", "--batch", "16", "--widths", "16,32,64", "--steps", "2"]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "width_models.py").write_text(MODEL, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_prints_a_table_and_draws(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main([*WORDS, "width_models:make", "--recipe", "mup", "-o", "widths.svg"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("All layers keep the size of their changes")
    assert "keeps its size" in told.out
    assert "wrote widths.svg" in told.err
    assert (models / "widths.svg").read_text("utf-8").startswith("<svg")
    assert main([*WORDS, "width_models:make", "--recipe", "flax", "--lr", "0.1"]) == 1
    assert "2 grows" in capsys.readouterr().out


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["width_models:fixed"], "'width_models:fixed' takes no width; --widths calls it as"),
        ([], "--widths needs a factory, package.module:factory, and --input 32, say"),
        (["width_models:make", "--select", "F02"], "--widths and --select are both given"),
        (["width_models:make", "--widths", "8,a"], "widths is '8,a'; give integers with commas"),
        (["width_models:make", "--widths", "8"], "give two integers or more, ascending"),
    ],
)
def test_wrong_use(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, *words]) == 2
    assert message in capsys.readouterr().err
