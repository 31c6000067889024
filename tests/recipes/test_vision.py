"""The recipes of vision models by name, by their formulas."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError
from fanin.initializers import normal, zeros
from fanin.recipes import find


@pytest.mark.parametrize(
    ("mode", "linear", "patches", "head"),
    [
        ("timm", 0.02, 1 / math.sqrt(3 * 48), 0.02),
        ("moco", math.sqrt(2 / 16), 1 / math.sqrt(3 * 48), math.sqrt(2 / 11)),
        ("jax", math.sqrt(2 / 16), 1 / math.sqrt(48), 0),
    ],
)
def test_timms_transformers(
    mode: str, linear: float, patches: float, head: float, zoo: Any
) -> None:
    recipe = f"timm_vit({mode!r})"
    found = zoo.stds("encoder", recipe)
    assert found["layers.0.self_attn.in_proj_weight"] == pytest.approx(linear)
    assert found["patches.weight"] == pytest.approx(patches)
    assert found["head.weight"] == pytest.approx(head)
    assert (found["token"], found["positions"]) == (1e-6, 0.02)
    made = zoo.choices(zoo.models["encoder"](), recipe, zoo.inputs["encoder"])
    biases = made["layers.1.linear1.bias"].initializer
    assert biases == (normal(std=1e-6) if mode == "jax" else zeros())
    assert made["layers.1.self_attn.out_proj.bias"].initializer == zeros()


def test_a_mode_is_one_of_three() -> None:
    with pytest.raises(FaninError, match=r"mode of timm_vit is 'mae'; allowed are timm, moco, jax"):
        find("timm_vit('mae')")


def test_efficientnet_by_fan_out(zoo: Any) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    found = zoo.stds(model, "efficientnet", torch.zeros(2, 3, 7, 7))
    assert found["0.weight"] == pytest.approx(math.sqrt(2 / 72))
    assert found["1.weight"] == pytest.approx(math.sqrt(2 / 9))
    assert found["3.weight"] == pytest.approx(1 / math.sqrt(15))  # U(+-1/sqrt 5)
    assert not find("efficientnet").needs_graph
