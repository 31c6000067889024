import pytest
import torch
from torch import nn

from fanin import FaninError
from fanin.lab.networks.activations import KINDS, find


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("relu", nn.ReLU()),
        ("leaky_relu(0.2)", nn.LeakyReLU(0.2)),
        ("LeakyReLU(negative_slope=0.2)", nn.LeakyReLU(0.2)),
        ("gelu(approximate='tanh')", nn.GELU("tanh")),
        ("log_sigmoid", nn.LogSigmoid()),
    ],
)
def test_names_and_expressions(text: str, expected: nn.Module) -> None:
    assert repr(find(text)()) == repr(expected)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_torch_activation_can_be_named(name: str) -> None:
    arguments = {"threshold": "(0.1, 0.0)", "softmax": "(dim=1)", "softmin": "(dim=1)"}
    text = name + (arguments | {"logsoftmax": "(dim=1)"}).get(name, "")
    assert find(text)()(torch.zeros(1, 2, 3, 3)).shape == (1, 2, 3, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("relux", "unknown activation 'relux': did you mean 'relu'"),
        ("glu", "unknown activation 'glu'"),
        ("leaky_relu(slope=2)", "cannot be made: .*slope"),
        ("relu(", "neither a name nor a call"),
    ],
)
def test_what_is_no_activation(text: str, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        find(text)
