"""The command itself: help, completion, libraries that are missing, readers that go away."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import cli
from tests.warm import Warm


def test_alone_it_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: fanin")
    assert all(f"\n    {name} " in printed.err for name in ("check", "env", "init", "plan"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_knows_all_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--print-completion", shell])
    assert stop.value.code == 0
    script = capsys.readouterr().out
    assert all(name in script for name in ("check", "env", "plan", "diff", "fail"))


def test_bash_completes_commands_and_flags(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--print-completion", "bash"])
    (tmp_path / "fanin.bash").write_text(capsys.readouterr().out)
    code = (
        "source fanin.bash; COMP_WORDS=(fanin plan --di); COMP_CWORD=2; _shtab_fanin; "
        "echo ${COMPREPLY[@]}; COMP_WORDS=(fanin en); COMP_CWORD=1; _shtab_fanin; "
        "echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("--diff\nenv\n", "")


def test_completion_of_no_shell_and_without_its_library(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["--print-completion", "cmd"]) == 2
    told = "fanin: error: --print-completion is 'cmd'; shtab knows bash, "
    assert capsys.readouterr().err.startswith(told)
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["--print-completion", "bash"]) == 2
    assert "pip install 'fanin[completion]'" in capsys.readouterr().err


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
def test_a_missing_library_is_one_line(
    library: str, warm: Callable[[str], Warm], tmp_path: Path
) -> None:
    data = "digits" if library in ("joblib", "sklearn", "threadpoolctl") else "mnist"
    code = (
        "import sys\n"
        f"mine = [name for name in sys.modules if name.partition('.')[0] == {library!r}]\n"
        f"sys.modules.update(dict.fromkeys([*mine, {library!r}]))\n"
        "from fanin.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    out = str(tmp_path / "out")
    done = warm("import torch._dynamo, scipy.stats").run(
        code, "compare", "--data", data, "--out", out
    )
    assert done.returncode == 2
    assert done.stderr.endswith("is missing. Install it: pip install 'fanin[lab]'\n")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("argv", [[1], [["plan"]], np.zeros((2, 3))])
def test_words_that_are_no_words(argv: Any) -> None:
    with pytest.raises(TypeError, match="each a str"):
        cli.main(argv)


def test_python_dash_m() -> None:
    command = [sys.executable, "-m", "fanin", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == f"fanin {fanin.__version__}\n"


def test_without_torch_a_command_says_what_to_install() -> None:
    done = run_without(("torch",), "plan", "numpy:ones")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "fanin: error: torch is missing. Install it: pip install 'fanin[torch]'\n"


@pytest.mark.parametrize(
    "command",
    [
        "plan cli_ends:Net --input 5",
        "plan torch.nn:Flatten --input cli_inputs:make",
        "init cli_ends:Net --out w.safetensors",
        "check cli_ends:Net --input 5",
        "compare --model cli_ends:Net --data digits",
        "gain cli_ends:act",
    ],
)
def test_a_script_that_ends_the_process_is_no_success(
    command: str, write_module: Callable[[str, str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """And is told once, with its line."""
    write_module("cli_ends", "import sys\n\nsys.exit(0)\n")
    folder = write_module("cli_inputs", "import sys\n\ndef make():\n    sys.exit(0)\n")
    before = sorted(folder.glob("*.*"))
    assert cli.main(command.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "nothing done: code of yours called sys.exit(0). " in printed.err
    assert re.search(r"Raised at \S+cli_\w+\.py:[34]; ", printed.err)
    assert printed.err.count("Raised at") == printed.err.count("\n") == 1
    assert sorted(folder.glob("*.*")) == before


def test_a_reader_who_goes_away_ends_it_quietly() -> None:
    """As `head` does."""
    command = [sys.executable, "-m", "fanin", "check", "--explain", "F03"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.close()
        assert (done.stderr.read(), done.wait()) == (b"", 141)
