"""Numbers that branches are multiplied by behind their ends: steps of time, roots of widths."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin


class _Ode(nn.Module):
    """x' = f(x) from 0 to `time` in steps of one size, by Euler's rule or by Runge and Kutta's."""

    def __init__(self, steps: int, rule: str, time: float = 1.0) -> None:
        super().__init__()
        self.steps, self.rule = steps, rule
        self.field = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 64))
        self.head = nn.Linear(64, 2)
        self.register_buffer("step", torch.tensor(time / steps))

    def forward(self, x: Tensor) -> Tensor:
        f, h = self.field, float(self.step)
        for _ in range(self.steps):
            if self.rule == "euler":
                x = x + h * f(x)
            elif self.rule == "euler, of a buffer":
                x = x + self.step * f(x)
            else:
                k1 = f(x)
                k2 = f(x + h * k1 / 2)
                k3 = f(x + h * k2 / 2)
                x = x + h * (k1 + 2 * k2 + 2 * k3 + f(x + h * k3)) / 6
        return self.head(x)


@pytest.mark.parametrize("rule", ["euler", "euler, of a buffer", "runge-kutta"])
@pytest.mark.parametrize("steps", [4, 16])
def test_steps_of_time_make_up_for_the_uses_of_a_field(rule: str, steps: int) -> None:
    """The field is of the size of the state, however many steps there are.

    64 x 64 values of one draw: over 40 seeds their RMS was 0.85 and 0.74, with deviations of 0.015
    and 0.013, so that the bounds are three deviations off or more.
    """
    model, x = _Ode(steps, rule), torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
    fanin.initialize(model, 0, x)
    assert 0.7 < _rms(model.field(x)) < 1.1


def test_small_steps_of_a_short_time_say_a_small_branch() -> None:
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
    short, long = (_Ode(8, "euler", time) for time in (0.1, 1.0))
    for model in (short, long):
        fanin.initialize(model, 0, x)
    torch.testing.assert_close(short.field[2].weight, long.field[2].weight)


class _Normed(nn.Module):
    """Branches that end with a norm as some write it: a direction, times a scale and a root."""

    def __init__(self, root: float) -> None:
        super().__init__()
        self.root = root
        self.lines = nn.ModuleList(nn.Linear(64, 64) for _ in range(3))
        self.scales = nn.ParameterList(torch.ones(64) for _ in range(3))
        self.head = nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.added: list[float] = []
        for line, scale in zip(self.lines, self.scales, strict=True):
            branch = F.normalize(line(x), dim=-1) * scale * self.root
            self.added.append(_rms(branch))
            x = x + branch
        return self.head(x)


def test_a_large_number_behind_the_end_of_a_branch_is_made_up_for() -> None:
    """By the scale: the norm's own RMS is 1/8, so that it is 1 before what the branch is to be."""
    x = torch.randn(32, 64, generator=torch.Generator().manual_seed(1))
    sizes = []
    for root in (1.0, 8.0, 64.0):
        model = _Normed(root)
        fanin.initialize(model, 0, x)
        model(x)
        sizes.append(model.added)
    for added in sizes:
        assert added == pytest.approx([0.5, 0.5, 0.5], rel=0.05)


def _rms(values: Tensor) -> float:
    return float(values.detach().square().mean().sqrt())
