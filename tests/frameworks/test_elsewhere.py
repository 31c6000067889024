"""Models of other libraries: an error that says where fanin's initializers go."""

import os
import subprocess
import sys
from typing import Any

import flax.linen
import jax
import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError


class Dense(flax.linen.Module):
    @flax.linen.compact
    def __call__(self, x: Any) -> Any:
        return flax.linen.Dense(4)(x)


def models() -> dict[str, Any]:
    linen = Dense()
    return {
        "linen": linen,
        "params": linen.init(jax.random.key(0), jax.numpy.ones((1, 3))),
        "array": jax.numpy.ones(3),
    }


@pytest.mark.parametrize("name", ["linen", "params", "array"])
@pytest.mark.parametrize(
    "call", [fanin.plan, fanin.initialize, lambda model: fanin.check(model, torch.zeros(2, 3))]
)
def test_what_jax_made_is_pointed_to_its_initializers(name: str, call: Any) -> None:
    with pytest.raises(FaninError, match=r"fanin\.frameworks\.jax\.initializer\('he_normal'\)"):
        call(models()[name])


def test_a_class_is_told_to_be_called() -> None:
    with pytest.raises(FaninError, match="It is a class: call it, and pass what it makes"):
        fanin.initialize(nn.ReLU)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_keras_models_are_pointed_to_keras_initializers(backend: str) -> None:
    code = """
import keras, numpy, torch, fanin
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
calls = [lambda: fanin.plan(model), lambda: fanin.initialize(model, 0, torch.zeros(2, 3))]
if keras.backend.backend() == "torch":
    calls.append(lambda: fanin.initialize(torch.nn.Sequential(torch.nn.Linear(3, 3), model)))
else:
    calls.append(lambda: fanin.check(model, torch.zeros(2, 3)))
for call in calls:
    try:
        call()
    except fanin.FaninError as error:
        assert "fanin.frameworks.keras.initializer('he_normal', seed=0" in str(error), error
    else:
        raise SystemExit("no error")
"""
    env = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
