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


@pytest.mark.parametrize("backend", FILES)
def test_the_folder_passes_on_another_back_end(backend: str) -> None:
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
    ]
    done = subprocess.run(
        [*command, *(str(FOLDER / name) for name in FILES[backend])],
        # Most of the time would go into compiling programs that run once.
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        capture_output=True,
        text=True,
        check=False,
        cwd=FOLDER.parents[2],
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
