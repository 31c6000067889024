"""Random buffers: a plan does not depend on what chance put there, or names them."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

import fanin
from fanin.frameworks.torch.write._buffers import chance_buffers


class Projected(nn.Module):
    """A random projection, as Performer's."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.first, self.head = nn.Linear(8, 8), nn.Linear(width, 3)
        self.register_buffer("projection", 3 * torch.randn(8, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.first(x) @ self.projection)


class Given(Projected):
    """The same with what cannot be known later."""

    def __init__(self, make: Callable[[], torch.Tensor]) -> None:
        super().__init__()
        self.projection = make()


def test_a_plan_does_not_depend_on_a_random_buffer() -> None:
    x, plans = torch.zeros(2, 8), []
    for torch_seed in (0, 1):
        torch.manual_seed(torch_seed)
        model = nn.Sequential(Projected(), nn.Linear(3, 8), Projected(32))
        before = model[0].projection.clone()
        state = torch.get_rng_state()
        plans.append(fanin.plan(model, x))
        assert torch.equal(model[0].projection, before)
        assert torch.equal(torch.get_rng_state(), state)
    with fanin.empty_weights():
        empty = nn.Sequential(Projected(), nn.Linear(3, 8), Projected(32))
    plans.append(fanin.plan(empty, x))
    assert plans[0] == plans[1] == plans[2]
    assert plans[0].notes == ()
    # 9 is the second moment of 3 N(0, 1); one draw of 128 is off by 12 % (one standard error).
    assert plans[0]["0.head.weight"].std ** 2 == pytest.approx(1 / (16 * 8 * 9), rel=0.5)


def test_a_buffer_that_looks_drawn_is_named_where_nothing_is_known() -> None:
    x = torch.zeros(2, 8)
    generator = torch.Generator().manual_seed(0)
    drawn = fanin.plan(Given(lambda: torch.randn(8, 16, generator=generator)), x)
    assert drawn.notes[0].startswith("the plan reads projection, whose values look drawn")
    frequencies = Given(lambda: 1 / 10000 ** (torch.arange(0, 32, 2) / 32))
    assert chance_buffers(frequencies) == []
    for make in (
        lambda: torch.arange(128.0).view(8, 16).sin(),
        lambda: torch.ones(8, 16).tril(),
        lambda: torch.linspace(0, 1, 128).view(8, 16),
    ):
        assert fanin.plan(Given(make), x).notes == ()
