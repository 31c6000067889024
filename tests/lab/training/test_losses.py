import math

import numpy as np
import pytest
import torch

from fanin.lab.data.dataset import Dataset, pack
from fanin.lab.training.losses import LOSSES, guess, never_left, score, targets

IMAGES = np.zeros((20, 28, 28))


def data(task: str = "classification") -> Dataset:
    return pack("x", "", (IMAGES, np.arange(20) % 4), task=task)


def test_the_loss_of_guessing_is_that_of_the_best_constant_output() -> None:
    for name, constant in (("cross_entropy", 0.0), ("quadratic", 0.25)):
        loss = LOSSES[name](torch.full((20, 4), constant), targets(name, data()))
        assert guess(name, data()) == pytest.approx(float(loss), rel=1e-6)
    numbers = data("regression")
    loss = LOSSES["quadratic"](torch.zeros(20, 1), targets("quadratic", numbers))
    assert guess("quadratic", numbers) == pytest.approx(float(loss), rel=1e-6)


def test_never_left_is_a_little_below_guessing() -> None:
    assert never_left("cross_entropy", data()) == math.log(4) - 0.1
    assert never_left("quadratic", data("regression")) == 0.96


def test_accuracy_counts_outputs_that_are_not_finite_as_wrong() -> None:
    labels = torch.tensor([0, 1, 1])
    outputs = torch.tensor([[1.0, 0], [0, 1], [0, math.inf]])
    assert score(outputs, labels) == pytest.approx(2 / 3)


def test_r_squared() -> None:
    labels = torch.tensor([[-1.0], [0], [1]])
    assert score(labels, labels) == 1
    assert score(torch.zeros(3, 1), labels) == 0
    assert score(labels / 2, labels) == pytest.approx(0.75)
    assert score(-labels, labels) == 0  # worse than the mean
    assert score(labels * math.nan, labels) == 0
