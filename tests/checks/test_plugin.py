"""assert_healthy and the pytest plugin: clean networks pass, others fail with their findings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from fanin.errors import FaninError
from fanin.testing import assert_healthy

TESTS = """
import torch
from torch import nn

def network(depth, std):
    layers = [nn.Sequential(nn.Linear(64, 64), nn.ReLU()) for _ in range(depth)]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std / 8)
            nn.init.zeros_(module.bias)
    return model

def test_sound(fanin_check):
    torch.manual_seed(0)
    assert fanin_check(network(3, 2**0.5), torch.randn(64, 64)).layers

def test_vanishing(fanin_check):
    torch.manual_seed(0)
    fanin_check(network(20, 0.3), torch.randn(64, 64))
"""


def sound() -> tuple[nn.Module, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    for layer in (model[0], model[2]):
        assert isinstance(layer, nn.Linear)
        nn.init.kaiming_normal_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
    return model, torch.randn(64, 64, generator=generator)


def test_a_sound_network_passes_and_its_checkup_comes_back() -> None:
    model, inputs = sound()
    checkup = assert_healthy(model, inputs)
    assert checkup.ok()
    assert len(checkup.layers) == 2


def test_a_sick_network_fails_with_its_findings_and_their_fix() -> None:
    model, inputs = sound()
    nn.init.zeros_(model[0].weight)
    nn.init.zeros_(model[2].weight)
    with pytest.raises(AssertionError) as failure:
        assert_healthy(model, inputs)
    message = str(failure.value)
    assert "F10" in message
    assert "0.weight" in message
    assert "fix: " in message


def test_the_level_and_the_options_of_a_check_count() -> None:
    model, inputs = sound()
    nn.init.zeros_(model[0].weight)
    nn.init.zeros_(model[2].weight)
    assert assert_healthy(model, inputs, select="F13").layers
    with pytest.raises(FaninError, match="level is 'eror'; allowed are note, warning, error"):
        assert_healthy(model, inputs, level="eror")  # type: ignore[arg-type]


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Python in another folder, with this plugin alone, whether it is installed or not."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_fixture_in_a_run_of_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_networks.py").write_text(TESTS)
    done = run(
        *("-m", "pytest", "-q", "-p", "fanin._pytest", "-p", "no:cacheprovider"), folder=tmp_path
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "F02" in done.stdout
    assert "fix: he_normal()" in done.stdout
    assert "_pytest.py" not in done.stdout
    assert "src/fanin/testing.py" not in done.stdout  # the traceback ends at the user's call


def test_loading_the_plugin_imports_no_framework(tmp_path: Path) -> None:
    code = "import sys, fanin._pytest; print(*sys.modules)"
    done = run("-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "fanin" in loaded
    frameworks = {"torch", "jax", "keras", "flax", "tensorflow", "triton"}
    assert not loaded & {*frameworks, "scipy", "rich", "matplotlib", "jinja2", "sklearn"}
