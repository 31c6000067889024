import pytest
import torch
from torch import Tensor, nn

from fanin.lab.networks import SmallConvNet
from fanin.lab.stack import Stack

LR = 0.001
CLOSE = {torch.float32: 1e-4, torch.float64: 1e-10}


def models(count: int, dtype: torch.dtype = torch.float32) -> list[SmallConvNet]:
    torch.manual_seed(0)
    return [SmallConvNet().to(dtype) for _ in range(count)]


def batches(
    count: int, steps: int, size: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(steps, count, size, 1, 28, 28, generator=generator).to(dtype)
    return images, torch.randint(0, 10, (steps, count, size), generator=generator)


def plain_losses(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The ordinary training loop, which every stacked model has to match."""
    adam = torch.optim.Adam(model.parameters(), lr=LR, betas=(0.9, 0.999), eps=1e-7)
    losses = []
    for batch, targets in zip(images, labels, strict=True):
        adam.zero_grad()
        loss = nn.functional.cross_entropy(model(batch), targets)
        loss.backward()
        adam.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def stacked_losses(stack: Stack, images: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([stack.step(*batch) for batch in zip(images, labels, strict=True)])


def assert_close(actual: Tensor, expected: Tensor) -> None:
    bound = CLOSE[expected.dtype]
    torch.testing.assert_close(actual, expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("size", [1, 5])
def test_a_stack_trains_like_single_models(size: int, dtype: torch.dtype) -> None:
    images, labels = batches(3, 30, size, dtype)
    stack = Stack(models(3, dtype), LR)
    losses = stacked_losses(stack, images, labels)
    for index, model in enumerate(models(3, dtype)):
        assert_close(losses[:, index], plain_losses(model, images[:, index], labels[:, index]))
        for name, parameter in model.named_parameters():
            assert_close(stack.parameters[name][index], parameter.detach())


def test_a_model_does_not_feel_its_neighbours() -> None:
    images, labels = batches(count=4, steps=20, size=1)
    all_four = stacked_losses(Stack(models(4), LR), images, labels)
    two = stacked_losses(Stack(models(4)[1:3], LR), images[:, 1:3], labels[:, 1:3])
    assert_close(all_four[:, 1:3], two)


def test_a_model_that_diverges_leaves_the_others_alone() -> None:
    images, labels = batches(count=3, steps=10, size=1)
    broken = models(3)
    nn.init.constant_(broken[1].conv1.weight, torch.inf)
    losses = stacked_losses(Stack(broken, LR), images, labels)
    healthy = stacked_losses(Stack(models(3), LR), images, labels)
    assert not losses[:, 1].isfinite().any()
    assert_close(losses[:, [0, 2]], healthy[:, [0, 2]])


def test_accuracy_counts_the_images_of_one_model() -> None:
    constant, broken = models(2)
    nn.init.zeros_(constant.head.weight)
    constant.head.bias.data = torch.eye(10)[3]
    nn.init.constant_(broken.head.bias, torch.nan)
    stack = Stack([constant, broken], LR)
    images, labels = torch.rand(450, 1, 28, 28), torch.arange(450) % 10  # more than one piece
    assert stack.accuracy(0, images, labels) == 0.1
    assert stack.accuracy(1, images, labels) == 0  # no finite output: every image is wrong
