import pytest
import torch
from torch import nn

from fanin.lab.setup import OPTIMIZERS
from fanin.lab.training.optimization import Optimization

GRADIENTS = [torch.tensor([[3.0, -4.0], [0.3, 0.4]]), torch.tensor([[12.0], [0.0]])]


def test_clipping_is_torchs() -> None:
    for options, clip in (
        ({"clip_norm": 1.0}, lambda p: nn.utils.clip_grad_norm_(p, 1.0)),
        ({"clip_value": 0.35}, lambda p: nn.utils.clip_grad_value_(p, 0.35)),
    ):
        optimization = Optimization("cross_entropy", "sgd", **options)  # type: ignore[arg-type]
        stacked = [gradient.clone() for gradient in GRADIENTS]
        optimization.clip(stacked, stacked=True)
        for index in range(2):
            alone = [gradient[index].clone() for gradient in GRADIENTS]
            optimization.clip(alone, stacked=False)
            parameters = [nn.Parameter(torch.zeros_like(gradient)) for gradient in alone]
            for parameter, gradient in zip(parameters, GRADIENTS, strict=True):
                parameter.grad = gradient[index].clone()
            clip(parameters)  # type: ignore[no-untyped-call]
            for one, two, three in zip(stacked, alone, parameters, strict=True):
                torch.testing.assert_close(one[index], three.grad)
                torch.testing.assert_close(two, three.grad)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_its_groups_rates(name: str) -> None:
    tensors = [torch.ones(2), torch.ones(2)]
    optimization = Optimization("cross_entropy", name)
    optimizer = optimization.optimizer(
        [{"params": [tensor], "lr": lr} for tensor, lr in zip(tensors, (0.1, 0.2), strict=True)]
    )
    for tensor in tensors:
        tensor.grad = torch.ones(2)
    optimizer.step()
    steps = [float(1 - tensor[0]) for tensor in tensors]
    assert steps[1] == pytest.approx(2 * steps[0], rel=1e-3)
    assert steps[0] > 0.05
