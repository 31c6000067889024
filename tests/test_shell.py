"""What other tools run: the hooks, the action and the page that shows them name what there is."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fanin import cli

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "shell.md").read_text("utf-8")
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
BLOCKS = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def parse(words: str) -> None:
    """Fails for what the command would not take."""
    parser = cli._parser()
    assert parser.parse_args(words.split()).run is not None


def test_the_page_has_all_commands() -> None:
    shown = re.findall(r"^\| `fanin (\w+)`", PAGE, re.MULTILINE)
    names = {add.__module__.rpartition(".")[2] for add in cli.COMMANDS}
    assert set(shown) == names
    assert len(shown) == len(names)


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_hooks_run_commands_that_exist(hook: dict[str, Any]) -> None:
    program, words = hook["entry"].split(" ", 1)
    assert program == "fanin"
    parse(words)
    assert hook["language"] == "python"
    assert hook["pass_filenames"] is False
    used = [each for each in BLOCKS[0]["repos"][0]["hooks"] if each["id"] == hook["id"]]
    assert len(used) == 1
    parse(" ".join([words, *used[0]["args"]]))


def test_the_page_names_no_other_hooks() -> None:
    assert {each["id"] for each in BLOCKS[0]["repos"][0]["hooks"]} == {hook["id"] for hook in HOOKS}


def test_steps_of_the_page_use_the_action() -> None:
    steps = [
        step for step in BLOCKS[1]["jobs"]["initialization"]["steps"] if "fanin" in step["uses"]
    ]
    assert len(steps) == 2
    for step in steps:
        assert set(step["with"]) <= set(ACTION["inputs"])
        parse(step["with"]["run"])


@pytest.mark.parametrize("status", [0, 1])
def test_the_action_runs_its_words_as_they_are(tmp_path: Path, status: int) -> None:
    """No pattern is expanded, nothing is executed, and a failure is one."""
    for name, code in (("pip", 0), ("fanin", status)):
        script = tmp_path / name
        script.write_text(f'#!/bin/bash\necho {name} "$#" "$@" >> "$LOG"\nexit {code}\n')
        script.chmod(0o755)
    log = tmp_path / "log"
    given = {"install": ". torch>=2.6", "run": "plan m:f --only * $(touch x) ; touch y"}
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "GITHUB_ACTION_PATH": "a b"}
    for step in ACTION["runs"]["steps"]:
        settings = {
            name: given[re.sub(r"^\$\{\{ inputs\.|\ \}\}$", "", value)]
            for name, value in step["env"].items()
        }
        assert "${{" not in step["run"], "values are passed in the environment"
        done = subprocess.run(["bash", "-e", "-c", step["run"]], cwd=tmp_path, env=env | settings)
    assert done.returncode == status
    assert log.read_text().splitlines() == [
        "pip 4 install a b . torch>=2.6",
        "fanin 9 plan m:f --only * $(touch x) ; touch y",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fanin", "log", "pip"]


def test_commands_of_the_page_parse() -> None:
    block = re.search(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        words = shlex.split(line.partition(">")[0])
        assert words[:2] == ["fanin", "--print-completion"]
        with pytest.raises(SystemExit):
            cli.main(words[1:])
