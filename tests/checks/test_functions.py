"""Functions that are written by hand: judged as the same functions of a library are."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin

Function = Callable[[Tensor], Tensor]
INPUTS = torch.randn(256, 32, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(256) % 3


class Layer(nn.Module):
    def __init__(self, function: Function, scale: float) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(32, 32), function
        nn.init.normal_(self.linear.weight, std=scale * 32**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.linear(x))


def rules(function: Function, scale: float = 1.5) -> set[str]:
    torch.manual_seed(0)
    layers = [Layer(function, scale) for _ in range(4)]
    findings = fanin.check(nn.Sequential(*layers, nn.Linear(32, 3)), INPUTS, TARGETS).findings
    return {one.id for one in findings if one.severity != "note"}


class Swish(torch.autograd.Function):
    """The one that saves memory, of networks for images."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        gate = torch.sigmoid(x)
        return grad * gate * (1 + x * (1 - gate))


@pytest.mark.parametrize(
    ("by_hand", "known"),
    [
        (lambda x: x * torch.sigmoid(x), F.silu),
        (lambda x: x * torch.sigmoid(1.702 * x), F.gelu),
        (lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.0447 * x**3))), F.gelu),
        (Swish.apply, F.silu),
    ],
    ids=["swish", "quick gelu", "tanh gelu", "autograd"],
)
def test_a_function_that_multiplies_itself_is_no_sigmoid(
    by_hand: Function, known: Function
) -> None:
    for scale in (1.5, 8.0):  # sound, and so large that the sigmoid alone would be flat
        assert rules(by_hand, scale) == rules(known, scale)


@pytest.mark.parametrize(
    "flat", [torch.sigmoid, lambda x: torch.sigmoid(x) * (1 - torch.sigmoid(x))]
)
def test_a_product_of_sigmoids_is_one(flat: Function) -> None:
    assert "F06" in rules(flat)
