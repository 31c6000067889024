import pytest
import torch
from torch import Tensor, nn

from fanin.lab.networks.networks import SmallConvNet
from fanin.lab.setup import OPTIMIZERS
from fanin.lab.training.optimization import Optimization
from fanin.lab.training.single import Single
from fanin.lab.training.stack import Stack

LR = 0.001
OPTIMIZATION = Optimization("cross_entropy", "adam")
CLOSE = {torch.float32: 1e-3, torch.float64: 1e-10}


def models(count: int, dtype: torch.dtype = torch.float32) -> list[SmallConvNet]:
    torch.manual_seed(0)
    return [SmallConvNet().to(dtype) for _ in range(count)]


def batches(
    count: int, steps: int, size: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(steps, count, size, 1, 28, 28, generator=generator).to(dtype)
    return images, torch.randint(0, 10, (steps, count, size), generator=generator)


def stack_of(models: list[SmallConvNet], optimization: Optimization = OPTIMIZATION) -> Stack:
    return Stack(models, [LR] * len(models), optimization, "cpu")


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


def losses_of(trainer: Stack | Single, images: Tensor, labels: Tensor) -> Tensor:
    return torch.stack([trainer.step(*batch) for batch in zip(images, labels, strict=True)])


def assert_close(actual: Tensor, expected: Tensor) -> None:
    bound = CLOSE[expected.dtype]
    torch.testing.assert_close(actual, expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("size", [1, 5])
def test_a_stack_trains_like_single_models(size: int, dtype: torch.dtype) -> None:
    images, labels = batches(3, 30, size, dtype)
    stack = stack_of(models(3, dtype))
    losses = losses_of(stack, images, labels)
    for index, model in enumerate(models(3, dtype)):
        assert_close(losses[:, index], plain_losses(model, images[:, index], labels[:, index]))
        for name, parameter in model.named_parameters():
            # In norm: where a gradient is all rounding, Adam's step has either sign.
            gap = stack.parameters[name][index] - parameter.detach()
            assert gap.norm() <= 10 * CLOSE[dtype] * parameter.norm()


def test_a_model_does_not_feel_its_neighbours() -> None:
    images, labels = batches(count=4, steps=20, size=1)
    all_four = losses_of(stack_of(models(4)), images, labels)
    two = losses_of(stack_of(models(4)[1:3]), images[:, 1:3], labels[:, 1:3])
    assert_close(all_four[:, 1:3], two)


def test_a_model_that_diverges_leaves_the_others_alone() -> None:
    images, labels = batches(count=3, steps=10, size=1)
    broken = models(3)
    nn.init.constant_(broken[1].conv1.weight, torch.inf)
    losses = losses_of(stack_of(broken), images, labels)
    healthy = losses_of(stack_of(models(3)), images, labels)
    assert not losses[:, 1].isfinite().any()
    assert_close(losses[:, [0, 2]], healthy[:, [0, 2]])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip", [{}, {"clip_value": 0.02}, {"clip_norm": 0.5}])
def test_stacked_or_alone_the_numbers_are_the_same(optimizer: str, clip: dict[str, float]) -> None:
    optimization = Optimization("cross_entropy", optimizer, **clip)
    images, labels = batches(3, 12, 2)
    rates = [0.001, 0.001, 0.004]
    stacked = losses_of(Stack(models(3), rates, optimization, "cpu"), images, labels)
    for index, model in enumerate(models(3)):
        part = slice(index, index + 1)
        alone = losses_of(
            Single([model], rates[part], optimization, "cpu"), images[:, part], labels[:, part]
        )
        assert_close(stacked[:, part], alone)


def test_a_model_has_its_own_rate() -> None:
    images, labels = batches(2, 3, 1)
    stack = Stack([models(1)[0], models(1)[0]], [1e-30, 0.01], OPTIMIZATION, "cpu")
    before = stack.parameters["head.bias"].clone()
    losses_of(stack, images, labels)
    assert torch.equal(stack.parameters["head.bias"][0], before[0])
    assert (stack.parameters["head.bias"][1] - before[1]).abs().max() > 0.02


@pytest.mark.parametrize("kind", [Stack, Single])
def test_evaluation_is_in_eval_mode_and_training_is_not(kind: type[Stack] | type[Single]) -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Linear(784, 10))
    trainer = kind([model], [LR], OPTIMIZATION, "cpu")
    images, labels = batches(1, 1, 4)
    one = trainer.evaluate(0, images[0, 0])
    assert_close(one, trainer.evaluate(0, images[0, 0]))
    trainer.step(images[0], labels[0])
    assert (trainer.evaluate(0, images[0, 0]) - one).abs().max() > 1e-3
