from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fanin import FaninError
from fanin.lab.data.dataset import Dataset, pack
from fanin.lab.networks import models
from fanin.lab.settings import CompareSettings

FACTORIES = """
from torch import nn

def plain():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 2))

def sized(outputs, depth=1):
    return nn.Sequential(nn.Flatten(), *[nn.Linear(784, 784)] * depth, nn.Linear(784, outputs))

def seven():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 7))

def shaped(outputs, shape, tokens=None):
    if tokens:
        head = nn.Linear(3 * shape[0], outputs)
        return nn.Sequential(nn.Embedding(tokens, 3), nn.Flatten(), head)
    size = 1
    for length in shape:
        size *= length
    return nn.Sequential(nn.Flatten(), nn.Linear(size, outputs))

def raising():
    raise RuntimeError("out of\\nideas")

def narrow():
    return nn.Linear(5, 2)

def nothing():
    return 3

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of factories in the working folder, under a name of its own."""
    name = f"factories_of_{tmp_path.name}"
    tmp_path.joinpath(f"{name}.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    return name


def data() -> Dataset:
    return pack("blocks", "", (np.zeros((6, 28, 28)), np.arange(6) % 2))


def found(name: str, **changes: Any) -> models.NetworkOfUser:
    return models.find(replace(CompareSettings(model=name).setup, **changes), data())


def checked(name: str, **changes: Any) -> torch.nn.Module:
    model = found(name, **changes).build(0)
    models.check_output(name, model, torch.zeros(2, 1, 28, 28), data())
    return model


def test_a_factory_gets_what_it_takes(module: str) -> None:
    assert len(list(checked(f"{module}:plain"))) == 2
    assert len(list(checked(f"{module}:sized", depth=3))) == 5


def test_what_a_constructor_draws_depends_on_the_seed_alone(module: str) -> None:
    model = found(f"{module}:plain")
    state = torch.get_rng_state()
    first, again, other = (model.build(seed)[1].weight for seed in (1, 1, 2))  # type: ignore[index]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_digest_is_that_of_the_source(module: str) -> None:
    assert found(f"{module}:plain").digest == found(f"{module}:seven").digest != ""
    assert found("cnn2").digest == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raising", r"raised RuntimeError: out of\."),
        (
            "narrow",
            r"raised RuntimeError: .* on images of shape \(2, 1, 28, 28\) and type torch.float32",
        ),
        ("seven", r"returns \(2, 7\) for 2 images, but the labels of blocks are 2 classes"),
        ("nothing", "returned int without parameters"),
        ("number", "is no function"),
        ("missing", "cannot be imported: AttributeError"),
    ],
)
def test_factories_that_do_not_fit(module: str, name: str, message: str) -> None:
    with pytest.raises(FaninError, match=message) as error:
        checked(f"{module}:{name}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("no_such_module:f", {}, "cannot be imported: ModuleNotFoundError"),
        ("cnn3", {}, "unknown model 'cnn3': did you mean 'cnn2'"),
        ("cnn2", {"depth": 3}, "model 'cnn2' has one depth"),
        ("mlp", {"activation": "rely"}, "unknown activation 'rely'"),
    ],
)
def test_models_that_there_are_not(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        found(name, **changes)


@pytest.mark.parametrize(
    "inputs",
    [
        np.zeros((6, 3, 32, 48)),
        np.zeros((6, 32, 48, 3), np.uint8),
        np.zeros((6, 13)),
        np.arange(30).reshape(6, 5),
    ],
)
def test_a_factory_may_ask_for_the_shape_and_the_tokens(inputs: np.ndarray, module: str) -> None:
    held = pack("mine", "", (inputs, np.arange(6) % 2))
    model = models.find(CompareSettings(model=f"{module}:shaped").setup, held).build(0)
    models.check_output("shaped", model, torch.from_numpy(held.inputs[:2]), held)
    assert (type(next(model.children())) is torch.nn.Embedding) == (held.kind == "tokens")


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        (
            "cnn2",
            np.zeros((6, 13)),
            r"model 'cnn2' reads images, but mine holds a table \(n, 13\) of type float32. Use "
            "mlp, deep_mlp or a factory",
        ),
        (
            "transformer",
            np.zeros((6, 13)),
            r"'transformer' reads images or token ids, but mine holds a table \(n, 13\)",
        ),
        (
            "resnet",
            np.zeros((6, 5), np.int32),
            r"'resnet' reads images, but mine holds token ids \(n, 5\) of type int64. Use mlp, "
            "deep_mlp, transformer or",
        ),
    ],
)
def test_networks_that_do_not_read_such_data(name: str, inputs: np.ndarray, message: str) -> None:
    held = pack("mine", "", (inputs, np.arange(6) % 2))
    with pytest.raises(FaninError, match=message):
        models.find(CompareSettings(model=name).setup, held)


def test_an_activation_that_a_factory_does_not_take(module: str) -> None:
    with pytest.raises(FaninError, match=r"activation is 'gelu', but .* chooses its own"):
        found(f"{module}:plain", activation="gelu")


def test_a_depth_that_a_factory_does_not_take(module: str) -> None:
    with pytest.raises(FaninError, match="takes no argument depth"):
        found(f"{module}:plain", depth=3)
