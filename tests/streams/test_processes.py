"""The same bits in every process, thread and fork; the environment's two settings."""

import hashlib
import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fanin import Stream
from fanin.streams import backends, use_backend

DRAW = """
import hashlib
from fanin import Stream
stream = Stream(7, "\\u0441\\u043b\\u043e\\u0439.0.weight")
drawn = stream.normal((300, 1000)).tobytes() + stream.uniform(999, dtype="float64").tobytes()
print(hashlib.sha256(drawn).hexdigest())
"""


def digest() -> str:
    stream = Stream(7, "слой.0.weight")
    drawn = stream.normal((300, 1000)).tobytes() + stream.uniform(999, dtype="float64").tobytes()
    return hashlib.sha256(drawn).hexdigest()


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, with these environment variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FANIN_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "FANIN_NUM_THREADS": "1"},
        {"PYTHONHASHSEED": "2", "FANIN_NUM_THREADS": "5", "LC_ALL": "C", "PYTHONUTF8": "0"},
        {"FANIN_BACKEND": "reference"},
    ],
)
def test_other_processes_draw_the_same(environment: dict[str, str]) -> None:
    assert run(DRAW, **environment).stdout.strip() == digest()


@pytest.mark.parametrize("name", backends())
def test_the_environment_forces_a_back_end(name: str) -> None:
    code = "from fanin import streams; print(streams.backend())"
    assert run(code, FANIN_BACKEND=name).stdout.strip() == name


def test_unset_or_empty_the_fastest_back_end_draws() -> None:
    code = "from fanin import streams; print(streams.backend())"
    assert run(code).stdout.strip() == backends()[0]
    assert run(code, FANIN_BACKEND="", FANIN_NUM_THREADS="").stdout.strip() == backends()[0]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FANIN_BACKEND", "avx9000"),
        ("FANIN_NUM_THREADS", "0"),
        ("FANIN_NUM_THREADS", "-2"),
        ("FANIN_NUM_THREADS", "many"),
        ("FANIN_NUM_THREADS", "1.5"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(variable: str, value: str) -> None:
    """The error comes with the first draw, names variable and value, and nothing else is said."""
    failed = run(f"import fanin\n{DRAW}", **{variable: value})
    assert failed.returncode == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert last.startswith("fanin.errors.FaninError: ")
    assert variable in last
    assert repr(value) in last
    assert "During handling" not in failed.stderr


def test_without_the_compiled_kernel_the_reference_draws_and_says_so_once() -> None:
    hidden = (
        "import sys, warnings\nwarnings.simplefilter('always')\nsys.modules['fanin._native'] = None"
    )
    done = run(f"{hidden}\n{DRAW}{DRAW}from fanin import streams; print(streams.backends())")
    assert done.stdout.split() == [digest(), digest(), "('reference',)"]
    assert done.stderr.count("installed without its compiled kernel") == 1


def test_threads_of_python_draw_at_once() -> None:
    names = [f"layer.{i}.weight" for i in range(24)]
    expected = [Stream(0, name).normal((500, 300), threads=1).tobytes() for name in names]
    start = threading.Barrier(8)

    def draw(name: str) -> bytes:
        if name in names[:8]:
            start.wait()
        return Stream(0, name).normal((500, 300), threads=3).tobytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(draw, names)) == expected


def test_threads_of_python_share_one_array() -> None:
    stream, out = Stream(0, "shared"), np.zeros((8, 40_000), np.float32)

    def fill(row: int) -> None:
        stream.normal(out.shape, index=slice(row, row + 1), out=out[row : row + 1], threads=2)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fill, range(8)))
    assert np.array_equal(out, stream.normal(out.shape))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_draws_the_same_with_threads() -> None:
    for name in backends():
        with use_backend(name):
            expected = Stream(0, "fork").normal((700, 400), threads=4).tobytes()
            # Python 3.12 warns of forks beside other threads, and so does JAX, if it is loaded.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                child = os.fork()
            if child == 0:
                same = Stream(0, "fork").normal((700, 400), threads=4).tobytes() == expected
                os._exit(0 if same else 1)
            assert os.waitpid(child, 0)[1] == 0


def test_flush_to_zero_set_by_another_library_changes_nothing() -> None:
    """torch.set_flush_denormal leaves the CPU so; tiny values would become zeros."""
    code = """
import torch
from fanin import Stream
from fanin.streams import backends, use_backend
stream = Stream(0, "a")
draws = (
    lambda: stream.normal(1000, 0.0, 1e-39),
    lambda: stream.truncated_normal(1000, 0.0, 1.0, 12.4, 12.40001),
    lambda: stream.normal(1000, 0.0, 1e-309, dtype="float64"),
    lambda: stream.normal(1000, 0.0, 1e-6, dtype="float16"),
)
before = [draw().tobytes() for draw in draws]
torch.set_flush_denormal(True)
for name in backends():
    if name != "reference":
        with use_backend(name):
            assert [draw().tobytes() for draw in draws] == before, name
"""
    done = run(code)
    assert done.returncode == 0, done.stderr
