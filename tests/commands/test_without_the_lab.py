"""Commands without the lab's libraries: torch and NumPy are enough, and compare says what it needs.

One process runs them all, in which nothing can be imported that the extra `lab` installs.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from fanin import cli

ROOT = Path(__file__).parents[2]
MODELS = """
from torch import nn

def make():
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
"""
CODE = """
import contextlib, io, json, sys
blocked = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(blocked))
from fanin.cli import main
done = {}
for words in json.loads(sys.argv[2]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words.split(" "))
    done[words] = status, out.getvalue(), err.getvalue()
print(json.dumps(done))
"""
COMMANDS = {
    "init --list": "lecun_normal",
    "gain --list": "hard_silu",
    "gain gelu": "forward gain, for std = gain / sqrt(fan_in)       1.53353",
    "gain numpy:sign": "so no backward gain keeps a signal.",
    "plan models:make --input 8 --save made.toml --seed 3": "plan: recipe auto, 4 parameters",
    "init models:make --input 8 --seed 3 --out model.safetensors": "wrote model.safetensors",
    "verify made.toml model.safetensors": "verified: 4 parameters, seed 3",
    "check models:make --input 8 --recipe auto": "Signal and gradient pass",
    **{
        f"check models:make --input 8 --recipe auto --format {form}": text
        for form, text in {
            "json": '"verdict": "Signal',
            "sarif": '"version": "2.1.0"',
            "junit": "<testsuites",
            "github": "fanin check: Signal",
            "markdown": "### fanin check",
        }.items()
    },
    "check --explain F03": "F03 backward-scale",
}
REFUSED = {
    "check models:make --input 8 --format html": "jinja2",
    "check models:make --data digits": "sklearn",
    "compare": "rich",
    "study --list": "rich",
}


class Done(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


def lab_libraries() -> list[str]:
    """The modules of what `pip install fanin[lab]` adds to torch."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = [re.split(r"\W", line)[0] for line in project["optional-dependencies"]["lab"]]
    return [name for name in map(_module, names) if name != "fanin"]


def _module(distribution: str) -> str:
    return "sklearn" if distribution == "scikit" else distribution


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Done]:
    folder: Path = tmp_path_factory.mktemp("bare")
    (folder / "models.py").write_text(MODELS)
    words = [json.dumps([*lab_libraries(), "tqdm", "pandas"]), json.dumps([*COMMANDS, *REFUSED])]
    command = [sys.executable, "-c", CODE, *words]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    return {name: Done(*what) for name, what in found.items()}


def test_the_libraries_are_those_that_the_command_knows() -> None:
    """But for the one that only draws a plot, without which fanin gain does."""
    assert {*lab_libraries(), "torch"} - {"plotille"} == set(cli.LAB_LIBRARIES)


@pytest.mark.parametrize("words", COMMANDS)
def test_torch_and_numpy_are_enough(words: str, done: Mapping[str, Done]) -> None:
    assert done[words].status == 0, done[words].err
    assert COMMANDS[words] in done[words].out


@pytest.mark.parametrize("words", REFUSED)
def test_what_needs_the_lab_says_so_in_one_line(words: str, done: Mapping[str, Done]) -> None:
    library = REFUSED[words]
    message = f"fanin: error: {library} is missing. Install it: pip install 'fanin[lab]'\n"
    assert done[words][:2] == (2, "")
    assert done[words].err == message
