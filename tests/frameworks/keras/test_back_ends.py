"""The tests of this folder on Keras's other back ends, which a process chooses once."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
FILES = {
    "jax": ("test_names.py", "test_stored.py", "test_target.py", "test_twins_in_torch.py"),
    "tensorflow": ("test_names.py", "test_stored.py", "test_target.py"),  # by module tree
}
# What a back end does itself: it draws files and the bits of torch, measures and shows gates.
SHORT = "stored or bits and auto and (mlp or cnn or gru) or as_it_was and None or sized or gates"


@pytest.mark.slow
@pytest.mark.parametrize("backend", FILES)
def test_the_folder_passes_on_another_back_end(backend: str, pytestconfig: pytest.Config) -> None:
    run(pytestconfig, backend)


@pytest.mark.parametrize("backend", FILES)
def test_what_a_back_end_does_itself_passes_on_another(
    backend: str, pytestconfig: pytest.Config
) -> None:
    run(pytestconfig, backend, "-k", SHORT)


def run(config: pytest.Config, backend: str, *which: str) -> None:
    """The tests of this folder in a process of that back end."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        *(f"-W{item}" for item in config.getoption("pythonwarnings") or ()),
    ]
    done = subprocess.run(
        [*command, *which, *(str(FOLDER / name) for name in FILES[backend])],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
        cwd=FOLDER.parents[2],
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
