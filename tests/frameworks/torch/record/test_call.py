"""Operations as functions: what is written in place, and constants among the arguments."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.frameworks.torch import trace
from fanin.graph import Node

X = torch.zeros(5, 8)
POINTS = np.array([-1.5, -0.25, 0.5, 2.0])

Forward = Callable[[Tensor], Tensor]


class Net(nn.Module):
    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.first, self.last, self.after = nn.Linear(8, 8), nn.Linear(8, 3), forward

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.after(self.first(x)))


def pointwise(forward: Forward) -> list[Node]:
    return [node for node in trace(Net(forward), X).nodes if node.op == "pointwise"]


STARTS = [torch.zeros_like, torch.ones_like, lambda y: y.new_full(y.shape, 2.0)]


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("how", ["add_", "sub_", "mul_", "div_", "pow_", "hypot_", "atan2_"])
def test_a_constant_that_is_written_is_the_function_out_of_place(
    start: Callable[[Tensor], Tensor], how: str
) -> None:
    plain = getattr(torch, how.removesuffix("_"))
    points = torch.from_numpy(POINTS)
    found = np.asarray(POINTS)
    for node in pointwise(lambda y: getattr(start(y), how)(y)):
        assert node.fn is not None
        found = node.fn(found)
    np.testing.assert_allclose(found, plain(start(points), points).numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    "forward",
    [
        lambda y: torch.zeros_like(y).addcmul_(y, y),
        lambda y: torch.zeros_like(y).addcdiv_(y, y.abs() + 1),
        lambda y: torch.zeros_like(y).lerp_(y, 0.5),
        lambda y: torch.empty_like(y).copy_(y),
        lambda y: torch.full_like(y, 2.0).add_(y, alpha=2),
        lambda y: torch.zeros_like(y).clamp_(min=y),
        lambda y: torch.zeros(1, 8).expand_as(y).clone().add_(y),
        lambda y: torch._foreach_add([torch.zeros_like(y)], [y])[0],
    ],
)
def test_accumulators_are_planned_and_checked(forward: Forward) -> None:
    fanin.plan(Net(forward), X)
    fanin.check(Net(forward), torch.randn(16, 8))


BOUNDED = [
    (lambda y: y.clamp(min=torch.tensor(0.0)), lambda p: p.clip(0)),
    (lambda y: y.clamp(torch.tensor(-1.0), torch.ones(8)), lambda p: p.clip(-1, 1)),
    (lambda y: y.clamp(max=torch.ones(8)), lambda p: p.clip(None, 1)),
    (lambda y: torch.maximum(y, torch.tensor(0.5)), lambda p: p.clip(0.5)),
    (lambda y: torch.clamp_min(y, torch.tensor(0)), lambda p: p.clip(0)),
    (lambda y: torch.pow(2.0, y), lambda p: 2.0**p),
    (lambda y: torch.tensor(2.0) ** y, lambda p: 2.0**p),
    (lambda y: torch.lerp(torch.zeros(8), y, torch.tensor(0.25)), lambda p: p / 4),
    (lambda y: torch.sub(1, y), lambda p: 1 - p),
    (lambda y: torch.addcdiv(torch.tensor(1.0), y, torch.tensor(2.0)), lambda p: 1 + p / 2),
    (lambda y: torch.where(torch.tensor(True), y, y.new_zeros(())), lambda p: p),
]


@pytest.mark.parametrize(("forward", "expected"), BOUNDED)
def test_constants_are_tensors_or_numbers_as_the_operation_wants_them(
    forward: Forward, expected: Callable[[np.ndarray], np.ndarray]
) -> None:
    found = POINTS
    for node in pointwise(forward):
        assert node.fn is not None
        found = node.fn(*[found] * len(node.inputs))
    np.testing.assert_allclose(found, expected(POINTS), rtol=1e-6)
    fanin.check(Net(forward), torch.randn(16, 8))
