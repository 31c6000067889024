"""The package installs without a C++ compiler, and says what draws then."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fanin

ROOT = Path(__file__).parents[1]

DRAW = """
import sys
sys.path[:0] = sys.argv[1:]
import fanin
stream = fanin.Stream(0, "layers.0.weight")
for _ in range(2):
    print(*stream.normal(5).view("uint32"))
print(*fanin.streams.backends())
"""


@pytest.fixture(scope="module")
def pure_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"]
    subprocess.run(
        [*build, "--wheel-dir", str(folder), str(ROOT)],
        env=os.environ | {"CXX": "/nonexistent/c++"},
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_without_a_compiler_the_wheel_is_pure(pure_wheel: Path) -> None:
    assert pure_wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(pure_wheel).namelist()
    assert not [name for name in names if name.endswith(".so")]
    for data in ("py.typed", "streams/normal_float32.inc", "streams/normal_float64.inc"):
        assert f"fanin/{data}" in names


def test_the_pure_wheel_draws_the_same_bits_and_warns_once(
    pure_wheel: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(pure_wheel).extractall(tmp_path)
    # -S: without site-packages' own hooks, or the editable install would answer the import.
    numpy_home = str(Path(np.__file__).parents[1])
    run = subprocess.run(
        [sys.executable, "-S", "-c", DRAW, str(tmp_path), numpy_home],
        env={key: value for key, value in os.environ.items() if key != "FANIN_BACKEND"},
        check=True,
        capture_output=True,
        text=True,
    )
    expected = " ".join(map(str, fanin.Stream(0, "layers.0.weight").normal(5).view(np.uint32)))
    assert run.stdout.splitlines() == [expected, expected, "reference"]
    assert run.stderr.count("the NumPy reference draws") == 1


def test_a_kernel_that_does_not_load_is_told_with_the_reason(
    pure_wheel: Path, tmp_path: Path
) -> None:
    zipfile.ZipFile(pure_wheel).extractall(tmp_path)
    ending = sysconfig.get_config_var("EXT_SUFFIX")
    (tmp_path / "fanin" / f"_native{ending}").write_bytes(b"of another platform")
    run = subprocess.run(
        [sys.executable, "-S", "-c", DRAW, str(tmp_path), str(Path(np.__file__).parents[1])],
        env={key: value for key, value in os.environ.items() if key != "FANIN_BACKEND"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout.splitlines()[-1] == "reference"
    assert run.stderr.count("fanin's compiled kernel does not load here (") == 1


@pytest.mark.slow
def test_the_sdist_alone_makes_a_wheel_with_the_kernel(tmp_path: Path) -> None:
    made = tmp_path / "sdist"
    code = "import sys, scikit_build_core.build as build; build.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(made)], cwd=ROOT, check=True)
    (sdist,) = made.glob(f"fanin-{fanin.__version__}.tar.gz")
    build = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(sdist)], cwd=tmp_path, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith("fanin/_native")]


def test_this_environment_has_the_compiled_kernel() -> None:
    assert len(fanin.streams.backends()) > 1
