"""The recipes torch, keras and flax: what the libraries' own layers draw."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fanin.initializers import constant, forget_gate, ones, zeros
from fanin.initializers._base import Elementwise
from fanin.streams import Uniform

# Every module of torch.nn that has parameters, with what it is made with.
MODULES: dict[str, Callable[[], nn.Module]] = {
    "Linear": lambda: nn.Linear(20, 30),
    "Bilinear": lambda: nn.Bilinear(5, 8, 30),
    "Conv1d": lambda: nn.Conv1d(6, 10, 3),
    "Conv2d grouped": lambda: nn.Conv2d(6, 12, 3, groups=3, stride=2),
    "Conv3d": lambda: nn.Conv3d(3, 10, 2),
    "ConvTranspose1d": lambda: nn.ConvTranspose1d(6, 10, 3),
    "ConvTranspose2d grouped": lambda: nn.ConvTranspose2d(6, 12, 3, groups=3, stride=2),
    "ConvTranspose3d": lambda: nn.ConvTranspose3d(3, 10, 2),
    "Embedding": lambda: nn.Embedding(20, 10),
    "EmbeddingBag": lambda: nn.EmbeddingBag(20, 10),
    "RNN": lambda: nn.RNN(6, 12, num_layers=2),
    "LSTM": lambda: nn.LSTM(6, 12, bidirectional=True),
    "LSTM projected": lambda: nn.LSTM(6, 12, proj_size=4),
    "GRU": lambda: nn.GRU(6, 12),
    "RNNCell": lambda: nn.RNNCell(6, 12),
    "LSTMCell": lambda: nn.LSTMCell(6, 12),
    "GRUCell": lambda: nn.GRUCell(6, 12),
    "MultiheadAttention": lambda: nn.MultiheadAttention(12, 2, add_bias_kv=True),
    "MultiheadAttention apart": lambda: nn.MultiheadAttention(12, 2, kdim=8, vdim=6),
    "BatchNorm2d": lambda: nn.BatchNorm2d(9),
    "InstanceNorm1d": lambda: nn.InstanceNorm1d(9, affine=True),
    "SyncBatchNorm": lambda: nn.SyncBatchNorm(9),
    "LayerNorm": lambda: nn.LayerNorm(9),
    "GroupNorm": lambda: nn.GroupNorm(3, 9),
    "RMSNorm": lambda: nn.RMSNorm(9),
    "PReLU": lambda: nn.PReLU(9, init=0.3),
}
DRAWS = 20_000  # values of a parameter that are compared, at least


def test_no_module_of_torch_is_left_out() -> None:
    layers = {
        name
        for name, cls in vars(nn).items()
        if isinstance(cls, type)
        and (hasattr(cls, "reset_parameters") or hasattr(cls, "_reset_parameters"))
        and not name.startswith("Lazy")
    }
    covered = {type(make()).__name__ for make in MODULES.values()}
    kin = {"BatchNorm1d", "BatchNorm3d", "InstanceNorm2d", "InstanceNorm3d", "RNNBase"}
    made_of_others = {"Transformer", "AdaptiveLogSoftmaxWithLoss", "RNNCellBase"}
    assert {"Linear", "LSTM", "GroupNorm"} < layers
    assert layers - covered <= kin | made_of_others


@pytest.mark.parametrize("kind", MODULES)
def test_torch_draws_as_reset_parameters_does(kind: str, zoo: Any) -> None:
    """n >= 20,000 values of each parameter, seed 0: std within 5 of its standard errors.

    The error is 0.5/sqrt(n) relative for normals (uniforms have less), so 1.8 %; the largest of
    n uniform values lies above 0.999 of the bound but for once in 1e8. False alarms: 6e-7 each.
    """
    make = MODULES[kind]
    params, choices = zoo.params(make()), zoo.choices(make(), "torch")
    torch.manual_seed(0)
    smallest = min(math.prod(param.shape) for param in params.values())
    models = [make() for _ in range(-(-DRAWS // smallest))]
    for name, param in params.items():
        drawn = torch.stack([dict(one.named_parameters())[name].detach() for one in models])
        initializer = choices[name].initializer
        assert isinstance(initializer, Elementwise), name
        law = initializer.distribution(param.shape, param.axes)
        if law.std_of_values() == 0:
            value = initializer(param.shape, seed=0, name=name, axes=param.axes)
            assert (drawn.numpy() == value).all(), name
            continue
        values = drawn.numpy().astype(float).ravel()
        error = 5 * math.sqrt(0.5 / len(values))
        assert np.std(values) == pytest.approx(law.std_of_values(), rel=error), name
        if isinstance(law, Uniform):
            assert 0.999 * law.high < np.abs(values).max() <= law.high * (1 + 1e-6), name
        else:
            assert np.abs(values).max() > 3 * law.std_of_values(), name


def test_torch_by_formula(zoo: Any) -> None:
    third = math.sqrt(1 / 3)
    found = zoo.stds("mlp", "torch")
    assert found == pytest.approx(
        {
            "0.weight": third / math.sqrt(6),
            "0.bias": third / math.sqrt(6),
            "2.weight": third / math.sqrt(8),
            "2.bias": third / math.sqrt(8),
            "4.weight": third / math.sqrt(8),
            "4.bias": third / math.sqrt(8),
        }
    )
    cnn = zoo.stds("cnn", "torch")
    assert cnn["3.weight"] == pytest.approx(third / 3)  # depthwise: one channel of 3 x 3
    assert cnn["5.weight"] == pytest.approx(third / math.sqrt(8 * 4))  # out * 2 * 2, as stored
    lstm = zoo.stds("lstm", "torch")
    assert lstm["words.weight"] == 1
    assert lstm["lstm.weight_ih_l0"] == lstm["lstm.bias_hh_l0"] == pytest.approx(third / 8**0.5)
    packed = zoo.stds("encoder", "torch")["layers.0.self_attn.in_proj_weight"]
    assert packed == pytest.approx(math.sqrt(2 / (8 + 24)))


def test_torch_keeps_slopes(zoo: Any) -> None:
    choices = zoo.choices(nn.PReLU(init=0.1), "torch")
    assert choices["weight"].initializer == constant(0.1)


def test_keras_by_formula(zoo: Any) -> None:
    def glorot(fan_in: float, fan_out: float) -> float:
        return math.sqrt(2 / (fan_in + fan_out))

    found = zoo.stds("mlp", "keras")
    assert found["0.weight"] == pytest.approx(glorot(6, 8))
    assert found["0.bias"] == 0
    cnn = zoo.stds("cnn", "keras")
    assert cnn["0.weight"] == pytest.approx(glorot(27, 72))
    assert cnn["3.weight"] == pytest.approx(glorot(9, 72))  # Keras counts all groups' outputs
    lstm = zoo.choices(zoo.models["lstm"](), "keras")
    assert zoo.stds("lstm", "keras")["words.weight"] == pytest.approx(0.05 / math.sqrt(3))
    assert zoo.stds("lstm", "keras")["lstm.weight_hh_l0"] == pytest.approx(1 / math.sqrt(8))
    assert lstm["lstm.bias_ih_l0"].initializer == forget_gate()
    assert lstm["lstm.bias_hh_l0"].initializer == zeros()


def test_flax_by_formula(zoo: Any) -> None:
    found = zoo.stds("cnn", "flax")
    assert found["0.weight"] == pytest.approx(1 / math.sqrt(27))
    assert found["3.weight"] == pytest.approx(1 / 3)
    assert found["5.weight"] == pytest.approx(1 / math.sqrt(8 * 4))  # strides are not counted
    lstm = zoo.choices(zoo.models["lstm"](), "flax")
    assert zoo.stds("lstm", "flax")["words.weight"] == pytest.approx(1 / math.sqrt(8))
    assert lstm["lstm.bias_ih_l0"].initializer == zeros()
    encoder = zoo.stds("encoder", "flax")
    assert encoder["layers.0.self_attn.in_proj_weight"] == pytest.approx(1 / math.sqrt(8))
    assert zoo.choices(zoo.models["encoder"](), "flax")["norm.weight"].initializer == ones()
