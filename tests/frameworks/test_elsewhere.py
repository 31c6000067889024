"""Models of other libraries, and arrays without a model: an error that says what to pass."""

from typing import Any

import flax.linen
import jax
import pytest
import torch
from flax import nnx
from torch import nn

import fanin
from fanin import FaninError


def trees() -> dict[str, Any]:
    linen = flax.linen.Dense(4)
    return {
        "params": linen.init(jax.random.key(0), jax.numpy.ones((1, 3))),
        "state": nnx.state(nnx.Linear(3, 4, rngs=nnx.Rngs(0))),
        "array": jax.numpy.ones(3),
    }


@pytest.mark.parametrize("name", ["params", "state", "array"])
@pytest.mark.parametrize(
    "call", [fanin.plan, fanin.initialize, lambda tree: fanin.check(tree, torch.zeros(2, 3))]
)
def test_arrays_alone_are_no_model(name: str, call: Any) -> None:
    with pytest.raises(FaninError, match=r"fanin\.initialize_params\(model, params, seed=0"):
        call(trees()[name])


def test_a_class_is_told_to_be_called() -> None:
    with pytest.raises(FaninError, match="It is a class: call it, and pass what it makes"):
        fanin.initialize(nn.ReLU)
