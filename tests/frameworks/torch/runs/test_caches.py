"""Caches of functions hold no fake tensors behind a run without values."""

from collections.abc import Callable
from functools import cache, lru_cache, wraps
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin


@lru_cache(maxsize=4)
def of_the_file(size: int) -> Tensor:
    return torch.arange(size) / size


def wrapped(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    cached = lru_cache(function)

    @wraps(function)
    def call(*args: Any) -> Tensor:
        return cached(*args)

    return call


class Net(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.linear, self.how = nn.Linear(8, 8), how
        self.attribute = cache(lambda size: torch.arange(size) / size)

    @lru_cache  # noqa: B019
    def method(self, size: int) -> Tensor:
        return torch.arange(size) / size

    @wrapped
    def decorated(self, size: int) -> Tensor:
        return torch.arange(size) / size

    @staticmethod
    @cache
    def static(size: int) -> Tensor:
        return torch.arange(size) / size

    def of_the_file(self, size: int) -> Tensor:
        return of_the_file(size)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) + getattr(self, self.how)(8)


@pytest.mark.parametrize("how", ["method", "decorated", "static", "attribute", "of_the_file"])
def test_a_model_that_caches_a_table_runs_after_its_plan(how: str) -> None:
    model, x = Net(how), torch.ones(2, 8)
    fanin.plan(model, x)
    expected = model.linear(x) + torch.arange(8) / 8
    torch.testing.assert_close(model(x), expected)


def test_caches_that_took_nothing_in_stay() -> None:
    model = Net("of_the_file")
    table = of_the_file(8)
    fanin.plan(model, torch.ones(2, 8))
    assert of_the_file(8) is table
