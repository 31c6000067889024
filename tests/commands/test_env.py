"""`fanin env`: what is installed and what draws, without an import of any of it."""

import json
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

import fanin
from fanin import cli
from fanin.streams import backend, backends


def report(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert cli.main(["env", "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FANIN_BACKEND", raising=False)
    monkeypatch.setenv("FANIN_NUM_THREADS", "3")
    told = report(capsys)
    assert told["fanin"] == fanin.__version__
    assert str(told["python"]).startswith(".".join(map(str, sys.version_info[:3])))
    assert told["back end"] == backend()
    assert told["back ends"] == [*backends()]
    assert told["threads"] == 3
    assert told["settings"] == {"FANIN_NUM_THREADS": "3"}
    packages = dict(told["packages"])
    assert packages["numpy"] == np.__version__
    assert packages["torch"] == metadata.version("torch")
    assert "deepspeed" not in packages


def test_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["env"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["fanin"] == fanin.__version__
    assert lines["torch"] == metadata.version("torch")
    assert f"back ends  {', '.join(backends())}".split("  ")[1] in lines["back"]


def test_wrong_settings_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report of them is what a user is asked for."""
    monkeypatch.setattr("fanin.streams._backends._chosen", None)
    monkeypatch.setenv("FANIN_BACKEND", "avx1024")
    monkeypatch.setenv("FANIN_NUM_THREADS", "many")
    told = report(capsys)
    assert str(told["back end"]).startswith("error: FANIN_BACKEND is 'avx1024'; this machine has")
    assert str(told["threads"]).startswith("error: FANIN_NUM_THREADS is 'many'")


def test_nothing_is_imported() -> None:
    code = (
        "import sys; from fanin.cli import main; main(['env'])\n"
        "assert not {'torch', 'jax', 'keras', 'transformers', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["torch"] == metadata.version("torch")


def test_python_dash_m() -> None:
    command = [sys.executable, "-m", "fanin", "env"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("fanin ")


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["env", "--yaml"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
