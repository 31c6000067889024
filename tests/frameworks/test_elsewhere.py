"""Models of other libraries: an error that says where fanin's initializers go."""

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
