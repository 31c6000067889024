"""The fuzzer: it calls everything, finds each kind of fault, and finds none in fanin."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.faults.arguments import JUNK
from bench.faults.fuzz import call, watch
from bench.faults.judge import Folder, judge
from bench.faults.surface import (
    GROUPS,
    LEFT_OUT,
    NUMPY_ALONE,
    Target,
    find,
    left_out,
    one_by_one,
    public,
    targets,
)
from fanin import FaninError

ROOT = Path(__file__).parents[2]


def fuzz(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.faults.fuzz", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_every_public_function_is_called() -> None:
    """But for those that the table leaves out; and what it leaves out is there."""
    called = {target.name for group in GROUPS for target in targets(group)}
    functions = {name for name in public() if callable(find(name)) and not left_out(name)}
    assert functions <= called
    assert {*LEFT_OUT} <= {name.rpartition(".")[2] for name in public()}


def told(seed: int, number: int) -> str:
    """A call in words, without the places in memory that its functions have."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(call(seed, number, NUMPY_ALONE)[1:]))


def test_a_call_is_made_from_its_number_alone() -> None:
    first = [told(3, number) for number in range(50)]
    assert [told(3, number) for number in range(50)] == first
    assert [told(4, number) for number in range(50)] != first


def test_each_argument_meets_each_piece_of_junk() -> None:
    wrong = one_by_one(NUMPY_ALONE)
    met = {(target.name, name) for target, name, _ in wrong}
    assert ("fanin.fans", "groups") in met
    assert ("fanin.streams.Stream.normal", "shape") in met
    assert len(wrong) == len(met) * len(JUNK)
    target, positional, given = call(None, 7, NUMPY_ALONE)
    _, name, number = wrong[7]
    assert (target, positional) == (wrong[7][0], [])
    assert type(given[name]) is type(JUNK[number]())


def write_and_fail(out: np.ndarray) -> None:
    out[0] = 1
    raise FaninError("too late")


def leave_a_file(text: str) -> None:
    Path("new.toml").write_text(text)
    raise FaninError("too late")


def leave_a_temporary_file(text: str) -> None:
    Path(".plan.toml.1.tmp").write_text(text)


PLANTED: dict[str, tuple[Callable[..., Any], dict[str, Any], str | None]] = {
    "traceback": (lambda x: {}[x], {"x": "a"}, "traceback"),
    "changed after an error": (write_and_fail, {"out": np.zeros(3)}, "changed"),
    "changed": (lambda x: x.append(1), {"x": [1]}, "changed"),
    "random state": (lambda: np.random.rand(), {}, "changed"),
    "half a file": (leave_a_file, {"text": "half"}, "half-written"),
    "temporary file": (leave_a_temporary_file, {"text": "half"}, "half-written"),
    "refused": (lambda x: float(None), {"x": 1}, None),
    "sound": (lambda out: out.fill(1), {"out": np.zeros(3)}, None),
}


@pytest.mark.parametrize("case", PLANTED)
def test_what_is_planted_is_found(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    function, keywords, kind = PLANTED[case]
    target = Target("planted", function, {})
    _, fault = judge(target, [], keywords, Folder({"plan.toml": b"whole", "folder/file": b""}))
    assert (fault and fault.kind) == kind


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("hang", "print(5); print(6, flush=True); import time; time.sleep(60)"),
        ("crash", "print(5); print(6, flush=True); import os; os.abort()"),
        ("crash", "print(5); print(6, flush=True)"),
    ],
)
def test_a_process_that_ends_at_a_call_is_counted(kind: str, code: str) -> None:
    found: list[tuple[int, str]] = []
    command = [sys.executable, "-c", code]
    following = watch(command, 5, 9, 0.5, lambda number, kind, *_: found.append((number, kind)))
    assert following == 7
    assert found == [(5, "call"), (6, "call"), (6, kind)]


def test_the_count_goes_on_where_it_was(tmp_path: Path) -> None:
    words = ["--groups", *NUMPY_ALONE, "--out", str(tmp_path / "count.json")]
    for calls in (700, 1500):
        done = fuzz("--calls", str(calls), *words)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{calls} calls of seed 0, ")
        assert done.stdout.endswith("0 crash, 0 hang, 0 traceback, 0 half-written, 0 changed\n")
    kept = json.loads((tmp_path / "count.json").read_text())
    assert kept["next"] == kept["counts"]["call"] == 1500
    assert 100 < kept["counts"]["refused"] < 1000
    assert fuzz("--seed", "1", *words).returncode == 1


@pytest.mark.slow
def test_no_fault_is_found(tmp_path: Path) -> None:
    done = fuzz("--seed", "2", "--calls", "2000", "--out", str(tmp_path / "count.json"))
    assert done.returncode == 0, done.stderr
