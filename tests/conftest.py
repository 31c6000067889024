"""What all tests share: reproducible property tests, and every back end in turn."""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from fanin.streams import backends, use_backend
from tests.warm import Warm

# TensorFlow, which Keras takes by default, is not installed.
os.environ.setdefault("KERAS_BACKEND", "torch")
# Models of tests are small, and other tests run beside them: torch's threads would mostly wait for
# each other, and spin while they do. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Programs of tests run once: what JAX would spend on making them fast is a multiple of their run.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

settings.register_profile("fanin", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("fanin")


# Whatever tests, the libraries that they run and their processes put into the temporary directory
# (Keras its settings, torch what it compiled) lies in one folder, which goes with the run.
# Processes of xdist inherit it. `--basetemp FOLDER` keeps the tests' own files.
_INHERITED = "FANIN_TESTS_TEMPORARY"
_folder = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    if _INHERITED not in os.environ:
        config.stash[_folder] = tempfile.mkdtemp(prefix="fanin-tests-")
        os.environ[_INHERITED] = os.environ["TMPDIR"] = config.stash[_folder]
    tempfile.tempdir = os.environ[_INHERITED]
    # A torchvision that was built for another torch, as beside that without CUDA, lacks operators.
    if find_spec("torchvision") is not None:
        import_module("bench.zoo.torchvision_ops")
    os.environ["KERAS_HOME"] = os.environ[_INHERITED]
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.environ[_INHERITED]


def pytest_collection_finish() -> None:
    # Whoever draws a model that looks like another collects garbage, to see whether that lives.
    # What all these libraries hold is no garbage, and takes a second to look through.
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    gc.unfreeze()  # libraries look for leaks at the end
    folder = config.stash.get(_folder, None)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    """No test knows the models that others drew, which a draw like theirs would look for."""
    yield
    for framework in ("torch.write", "jax.write", "keras"):
        module = sys.modules.get(f"fanin.frameworks.{framework}._twins")
        if module is not None:
            module.TWINS.forget_all()


@pytest.fixture(params=backends())
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Draw with this back end; a test that asks for it runs once for each."""
    with use_backend(request.param):
        yield request.param


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """`write_module(name, text)`: a user's module, in a folder that is the current one."""

    def write_module(name: str, text: str) -> Path:
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.delitem(sys.modules, name, raising=False)
        return tmp_path

    return write_module


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """The lab trains in one thread; two wait for each other where others use the machine."""
    with import_module("fanin.lab.training.stack").one_thread():
        yield


@pytest.fixture(scope="session")
def warm() -> Iterator[Callable[[str], Warm]]:
    """`warm("import torch").run(program, *arguments)`: programs that need not import that again."""
    with ExitStack() as stack:
        yield cache(lambda imports: stack.enter_context(Warm(imports)))


@pytest.fixture(scope="session")
def pretended() -> Callable[[int, int], AbstractContextManager[None]]:
    """`pretended(rank, world)`: this process as one of many, of which the others do not exist."""
    dist = import_module("torch.distributed")
    store = import_module("torch.testing._internal.distributed.fake_pg").FakeStore

    @contextmanager
    def pretended(rank: int, world: int) -> Iterator[None]:
        dist.init_process_group("fake", rank=rank, world_size=world, store=store())
        try:
            yield
        finally:
            dist.destroy_process_group()

    return pretended
