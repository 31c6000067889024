"""The public names are those of the golden file: changing one is a decision."""

import subprocess
import sys
import types
from importlib import import_module
from pathlib import Path

import pytest

import fanin

GOLDEN = Path(__file__).parent / "golden" / "public_names.txt"
NAMES = [line for line in GOLDEN.read_text().splitlines() if line and not line.startswith("#")]
MODULES = sorted({name.rpartition(".")[0] for name in NAMES})


def public(module: str) -> set[str]:
    """The names of `__all__`; without it those without underscore, modules aside."""
    found = import_module(module)
    names = getattr(found, "__all__", None) or [
        name
        for name, value in vars(found).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    ]
    return {f"{module}.{name}" for name in names}


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_the_golden_ones(module: str) -> None:
    if module.startswith("fanin.integrations."):
        pytest.importorskip(module)
    assert public(module) == {name for name in NAMES if name.rpartition(".")[0] == module}


def test_the_golden_file_is_sorted_and_has_every_promised_module() -> None:
    assert sorted(set(NAMES)) == NAMES
    promised = {f"fanin.{name}" for name in fanin.__all__ if name.islower()} & {*sys.modules}
    assert promised - {"fanin.frameworks"} <= set(MODULES)
    frameworks = {f"fanin.frameworks.{name}" for name in ("jax", "keras", "torch.init")}
    assert frameworks < set(MODULES)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there(name: str) -> None:
    module, _, own = name.rpartition(".")
    if module.startswith("fanin.integrations."):
        pytest.importorskip(module)
    assert hasattr(import_module(module), own)


def test_fanin_has_20_public_names_at_most() -> None:
    assert len(public("fanin")) <= 20


def test_every_initializer_is_public_under_its_name() -> None:
    from fanin import initializers

    missing = [name for name in initializers.names() if not hasattr(initializers, name)]
    assert not missing


LAZY = """
import sys, fanin
assert not {"torch", "rich", "fanin.lab", "fanin.testing"} & set(sys.modules)
assert set(fanin.__all__) | {"__version__"} == set(dir(fanin))
assert fanin.lab
assert callable(fanin.testing.assert_healthy)
lab = ["Comparison", "Interrupted", "WidthCheck", "check_widths", "compare"]
assert sorted(dir(fanin.lab)) == lab
assert "find" in dir(fanin.recipes) and "match_overrides" not in dir(fanin.recipes)
assert dir(fanin.frameworks) == ["jax", "keras", "torch"]
"""


def test_what_was_public_by_accident_warns_before_it_goes() -> None:
    with pytest.warns(DeprecationWarning, match=r"fanin\.streams\.check_seed is internal"):
        assert fanin.streams.check_seed(3) == 3
    with pytest.raises(AttributeError, match=r"module 'fanin\.streams' has no attribute 'chek'"):
        fanin.streams.chek  # noqa: B018


def test_parts_are_looked_up_on_first_use() -> None:
    done = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert callable(fanin.lab.compare)
    assert callable(fanin.frameworks.torch.init.kaiming_normal_)
    assert callable(fanin.frameworks.jax.initializer)
    with pytest.raises(AttributeError, match="module 'fanin' has no attribute 'laab'"):
        fanin.laab  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'tensorflow'"):
        fanin.frameworks.tensorflow  # noqa: B018
