"""Commands that write, while they are killed, refused or starved: one clear line, nothing lost."""

import json
import os
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.warm import LAB, Done, Warm

MODELS = """
import torch

def mlp():
    return torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
"""
OLD = b"what was there before"

# Every command that writes, and what it is to leave; the texts of reports hold times.
_SMALL = "--data digits --model mlp --seeds 2 --train 40 --test 20 --epochs 1 --batch-size 8"
COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "init": (
        "init models:mlp --input 8 --out w.safetensors --save-plan plan.toml",
        ("w.safetensors", "plan.toml"),
    ),
    "init --shards": (
        "init models:mlp --input 8 --shards 2 --out w.safetensors",
        (
            *("w-00001-of-00002.safetensors", "w-00002-of-00002.safetensors"),
            "w.safetensors.index.json",
        ),
    ),
    "plan": ("plan models:mlp --input 8 --save plan.toml", ("plan.toml",)),
    "check": (
        "check models:mlp --input 8 --format html --output check.html --fail-level error",
        ("check.html",),
    ),
    "check --write-baseline": (
        "check models:mlp --input 8 --write-baseline known.json --fail-level error",
        ("known.json",),
    ),
    "compare": (
        f"compare {_SMALL} --initializers zeros he_normal --out out",
        ("out/report.html", "out/results.json", "out/results.csv"),
    ),
    "study": (
        "study symmetry --quick --out out --page page",
        ("out/symmetry/result.json", "out/symmetry/symmetry.md", "page/symmetry.md"),
    ),
}
LONG = [pytest.param(name, marks=pytest.mark.slow) for name in ("compare", "study")]
QUICK = [name for name in COMMANDS if name not in ("compare", "study")]
ALL = [*QUICK, *LONG]
OTHERS = [name for name in COMMANDS if name != "plan"]

# The events that change a file below the folder, counted; at one of them it ends, or is refused.
PROGRAM = """
import errno, os, resource, signal, sys

how, number, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
os.chdir(folder)
sys.path.insert(0, folder)
count = 0

def watch(event, arguments):
    global count
    if event == "open":
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    else:
        writes = event in ("os.rename", "os.remove", "os.mkdir", "sqlite3.connect")
    if not writes or isinstance(arguments[0], int):
        return
    place = os.path.abspath(os.fsdecode(arguments[0]))
    if not place.startswith(folder) or "__pycache__" in place:
        return
    count += 1
    if count == number and how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if count == number and how == "refuse":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

if how in ("kill", "refuse"):
    sys.addaudithook(watch)
from fanin.cli import main
if how == "size":
    resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
if how == "memory":
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + number,) * 2)
status = main(sys.argv[4:])
print(count, file=sys.stderr)
sys.exit(status)
"""
Run = Callable[[str, Path, str, int], Done]
# What a C library says of an error that it goes on after, as FreeType in matplotlib does.
OF_LIBRARIES = re.compile(r"^Exception ignored in: .*\nTraceback .*\n(  .*\n)*\w+Error.*\n", re.M)


@pytest.fixture(scope="module")
def run(warm: Callable[[str], Warm]) -> Run:
    """`run(command, folder, how, number)`: in a process that has the libraries already."""
    server = warm(LAB)

    def run(command: str, folder: Path, how: str = "", number: int = 0) -> Done:
        words = COMMANDS[command][0].split()
        return server.run(PROGRAM, how, str(number), str(folder), *words)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path


def prepare(folder: Path) -> None:
    (folder / "models.py").write_text(MODELS)


def put_old(command: str, folder: Path) -> None:
    for name in COMMANDS[command][1]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(OLD)


def is_whole(path: Path) -> bool:
    """Whether a file is one that a command finished."""
    content = path.read_bytes()
    if path.suffix == ".json":
        return bool(json.loads(content))
    if path.suffix == ".toml":
        return bool(tomllib.loads(content.decode()))
    if path.suffix == ".safetensors":
        length = int.from_bytes(content[:8], "little")
        entries = json.loads(content[8 : 8 + length])
        ends = [each["data_offsets"][1] for name, each in entries.items() if name[0] != "_"]
        return len(content) == 8 + length + max(ends)
    if path.suffix == ".html":
        return content.rstrip().endswith(b"</html>")
    return content.endswith(b"\n") and len(content) > 200


def check_all(command: str, folder: Path, done: Done) -> None:
    """Each file is the old one or whole; an error is one line."""
    for name in COMMANDS[command][1]:
        path = folder / name
        assert not path.exists() or path.read_bytes() == OLD or is_whole(path), name
    if done.returncode not in (0, -signal.SIGKILL):
        assert done.returncode == 2, done
        told = OF_LIBRARIES.sub("", done.stderr)
        assert "Traceback" not in told, told
        errors = [line for line in done.stderr.splitlines() if line.startswith("fanin: error: ")]
        assert len(errors) == 1, done.stderr
        assert [path for path in folder.rglob("*.tmp") if path.is_file()] == []


def all_new(command: str, folder: Path) -> bool:
    return all(
        (folder / name).read_bytes() != OLD and is_whole(folder / name)
        for name in COMMANDS[command][1]
    )


def moments(command: str, run: Run, folder: Path) -> int:
    """How many events there are in a whole run."""
    done = run(command, folder, "kill", 10**9)
    assert done.returncode == 0, done
    assert all_new(command, folder)
    return int(done.stderr.split()[-1])


@pytest.mark.parametrize("how", ["kill", "refuse"])
@pytest.mark.parametrize(
    "command", ["plan", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_at_any_moment_files_are_old_or_whole(
    command: str, how: str, run: Run, folder: Path
) -> None:
    whole = folder / "whole"
    whole.mkdir()
    prepare(whole)
    count, killed = moments(command, run, whole), 0
    assert count >= 3
    for number in range(1, count + 1):
        place = folder / str(number)
        place.mkdir()
        prepare(place)
        put_old(command, place)
        done = run(command, place, how, number)
        check_all(command, place, done)
        killed += done.returncode == -signal.SIGKILL
        again = run(command, place, "", 0)
        assert again.returncode == 0, again
        assert all_new(command, place)
        shutil.rmtree(place)
    if how == "kill":  # a study saves by the clock, now and then once less
        assert killed >= (0.8 * count if command == "study" else count)


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize("size", [600, 4096])
def test_files_that_may_not_grow(command: str, size: int, run: Run, folder: Path) -> None:
    put_old(command, folder)
    done = run(command, folder, "size", size)
    check_all(command, folder, done)
    assert done.returncode == 2 or all_new(command, folder)


@pytest.mark.slow
@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "study"])
@pytest.mark.parametrize("mebibytes", [0, 1, 4, 16, 64, 256])
def test_memory_that_is_not_there(command: str, mebibytes: int, run: Run, folder: Path) -> None:
    """Of a study BLAS ends the process, in words of its own."""
    put_old(command, folder)
    done = run(command, folder, "memory", mebibytes << 20)
    check_all(command, folder, done)
    assert done.returncode == 2 or all_new(command, folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 100 KiB, which only root can mount."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize("free", [0, 5])
def test_a_full_disk(command: str, free: int, run: Run, small_disk: Path) -> None:
    """With so many KiB free."""
    prepare(small_disk)
    put_old(command, small_disk)
    with (small_disk / "filler").open("wb") as file:
        state = os.statvfs(small_disk)
        file.write(bytes(max(state.f_bavail * state.f_frsize - (free << 10), 0)))
    done = run(command, small_disk, "", 0)
    check_all(command, small_disk, done)
    assert done.returncode == 2 or all_new(command, small_disk)
    if free == 0:
        assert done.returncode == 2
    (small_disk / "filler").unlink()


@pytest.mark.parametrize("command", ALL)
def test_a_read_only_folder(command: str, run: Run, small_disk: Path) -> None:
    prepare(small_disk)
    put_old(command, small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = run(command, small_disk, "", 0)
    assert done.returncode == 2
    check_all(command, small_disk, done)
