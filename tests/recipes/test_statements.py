"""Values that differ and were meant: time steps, decay rates and frequencies stay."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import fanin
from fanin.recipes._statements import has_steps, says_something
from fanin.streams import Stream

WIDTH, STATES = 16, 8


class TimeSteps(nn.Module):
    """What Mamba makes of its inputs: time steps, each with rates of decay."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.width = width
        self.steps, self.out = nn.Linear(width, width), nn.Linear(width, width)
        with torch.no_grad():  # softplus of it is log-uniform in [1e-3, 1e-1]
            steps = torch.exp(torch.rand(width) * math.log(100) - math.log(1000))
            self.steps.bias.copy_(steps + torch.log(-torch.expm1(-steps)))
        self.log_rate = nn.Parameter(torch.log(torch.arange(1.0, STATES + 1).repeat(width, 1)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = nn.functional.softplus(self.steps(x))
        state = x.new_zeros(len(x), WIDTH, STATES)
        for at in range(x.shape[1]):
            decay = torch.exp(-steps[:, at, :, None] * torch.exp(self.log_rate))
            state = decay * state + (steps[:, at] * x[:, at])[..., None]
        return self.out(state.sum(-1))


class Kernel(nn.Module):
    """A diagonal state space of complex numbers, as S4D has it; or of pairs of real ones."""

    def __init__(self, real: bool) -> None:
        super().__init__()
        self.real = real
        self.log_step = nn.Parameter(torch.rand(WIDTH) * math.log(100) - math.log(1000))
        self.log_decay = nn.Parameter(torch.full((WIDTH, STATES), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(float(STATES)).repeat(WIDTH, 1))
        self.output = nn.Parameter(torch.randn(WIDTH, STATES, 2))
        self.mix = nn.Linear(WIDTH, WIDTH)

    def kernel(self, length: int) -> torch.Tensor:
        step, at = self.log_step.exp()[:, None], torch.arange(length)
        if not self.real:
            rates = (-self.log_decay.exp() + 1j * self.frequency) * step
            states = torch.exp(rates[..., None] * at)
            return torch.einsum("hn,hnl->hl", torch.view_as_complex(self.output), states).real
        decay = torch.exp(-(self.log_decay.exp() * step)[..., None] * at)
        angle = (self.frequency * step)[..., None] * at
        waves = self.output[..., :1] * angle.cos() - self.output[..., 1:] * angle.sin()
        return (decay * waves).sum(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        length = x.shape[1]
        factors = torch.fft.rfft(self.kernel(length), n=2 * length)
        made = torch.fft.irfft(torch.fft.rfft(x.mT, n=2 * length) * factors, n=2 * length)
        return self.mix(nn.functional.gelu(made[..., :length].mT))


class Recurrent(nn.Module):
    """LRU: rings of complex rates, whose logarithms are drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = nn.Parameter(torch.log(-0.5 * torch.log(torch.rand(STATES) * 0.82 + 0.16)))
        self.angle = nn.Parameter(torch.log(6.28 * torch.rand(STATES)))
        self.read = nn.ParameterList(torch.randn(STATES, WIDTH) for _ in range(2))
        self.tell = nn.ParameterList(torch.randn(WIDTH, STATES) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rates = torch.exp(torch.complex(-self.rate.exp(), self.angle.exp()))
        fed = x.to(torch.complex64) @ torch.complex(*self.read).T
        state = torch.zeros_like(fed[:, 0])
        for at in range(x.shape[1]):
            state = rates * state + fed[:, at]
        return (state @ torch.complex(*self.tell).T).real


def inputs(positions: int = 4) -> torch.Tensor:
    return torch.randn(2, positions, WIDTH)


RATES = math.pi * np.arange(STATES)


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        (np.tile(RATES, (4, 1)), True),
        (np.tile(RATES[:, None], (1, 4)), True),
        (np.tile(np.array([[0.3, -0.2], [0.1, 0.7]]), (3, 1, 1)), True),
        (np.arange(9.0), True),
        (np.linspace(0, 1, 11, dtype=np.float32).astype(np.float64), True),
        (Stream(0, "a").normal((64,), mean=-4.6, std=1.35), True),
        (Stream(0, "a").normal((64,), mean=-1.0, std=1.0), False),
        (Stream(0, "a").uniform((64,), -0.1, 0.1), False),
        (Stream(0, "a").normal((64, 8), mean=-4.6, std=1.35), False),
        (np.array([3.0, 3.1]), False),
        (np.full(64, 3.0), False),
        (np.array([np.nan, *range(9)]), False),
        (np.zeros(0), False),
        (np.eye(8), False),
    ],
)
def test_what_no_weight_is_drawn_as(values: np.ndarray, meant: bool) -> None:
    assert says_something(values) is meant


def test_draws_around_zero_are_never_meant() -> None:
    """8000 vectors of 8: the rule says 1 in 10^4 at most, and 6 of them at once in 10^5 runs."""
    drawn = Stream(0, "many").uniform((8000, 8), -1.0, 1.0)
    assert sum(map(says_something, drawn)) < 6


def test_equal_steps_are_no_draw() -> None:
    assert has_steps(np.tile(RATES, (4, 1)))
    assert not has_steps(Stream(0, "a").normal((64,), mean=-4.6, std=1.35))
    assert not has_steps(np.log(np.arange(1.0, 9.0)))
    assert not has_steps(np.array([-1.0, 0.0, 1.0, 4.0, 9.0, 16.0, 25.0, 36.0]))
    assert not has_steps(1 + np.linspace(0, 1, 50_000) ** 2)  # of whose steps each is small


@pytest.mark.parametrize("sign", [1, -1])
def test_equal_ratios_are_no_draw(sign: int) -> None:
    frequencies = (1 / 10000 ** (torch.arange(0, 32, 2) / 32)).double().numpy()
    assert has_steps(sign * np.tile(frequencies, (4, 1)))
    assert not has_steps(sign * np.exp(Stream(0, "a").normal((64,))))
    assert not has_steps(sign * np.arange(1.0, 9.0) ** 2)


@pytest.mark.parametrize("ran", [False, True])
def test_time_steps_stay_and_are_drawn_from_the_seed(ran: bool) -> None:
    torch.manual_seed(1)
    model, x = nn.Sequential(TimeSteps(), nn.Linear(WIDTH, 2)), inputs() if ran else None
    plan = fanin.initialize(model, 3, x)
    assert plan["0.steps.bias"].keeps == "redrawn"
    assert plan["0.log_rate"].initializer is None
    assert plan["0.log_rate"].keeps is None
    steps = nn.functional.softplus(model[0].steps.bias.detach())
    assert float(steps.min()) >= 1e-3
    assert float(steps.max()) <= 0.1001
    torch.manual_seed(2)
    with fanin.empty_weights():
        empty = nn.Sequential(TimeSteps(), nn.Linear(WIDTH, 2))
    fanin.initialize(empty, 3, x)
    for mine, theirs in zip(model.parameters(), empty.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_what_moves_time_steps_is_no_end_of_a_branch() -> None:
    plan = fanin.plan(TimeSteps(), inputs())
    assert plan["steps.weight"].output == pytest.approx(1)


def test_a_bias_that_fanin_made_zero_is_zero_again_wherever_training_took_it() -> None:
    model = nn.Linear(WIDTH, WIDTH)
    fanin.initialize(model, 0)
    nn.init.normal_(model.bias, -4.0, 0.5)
    fanin.initialize(model, 0)
    assert not model.bias.any()


def test_time_steps_that_were_trained_start_anew() -> None:
    model = TimeSteps()
    fanin.initialize(model, 0, inputs())
    before = model.steps.bias.detach().clone()
    nn.init.zeros_(model.steps.bias)
    fanin.initialize(model, 0, inputs())
    assert torch.equal(model.steps.bias, before)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("recipe", ["auto", "lsuv", "orthogonal"])
def test_frequencies_stay_in_either_form(real: bool, recipe: str) -> None:
    model = Kernel(real)
    plan = fanin.initialize(model, 0, inputs(), recipe)
    kept = model.frequency.detach()
    assert torch.equal(kept, math.pi * torch.arange(float(STATES)).repeat(WIDTH, 1))
    assert not any("did not use it" in row.why for row in plan.values())
    assert plan["log_step"].keeps == "redrawn"
    assert "log_decay" not in str(plan.notes)


@pytest.mark.parametrize("make", [lambda: Kernel(True), lambda: Kernel(False), TimeSteps])
def test_without_a_run_what_was_meant_stays(make: Callable[[], nn.Module]) -> None:
    model = make()
    name = "log_rate" if isinstance(model, TimeSteps) else "frequency"
    before = getattr(model, name).detach().clone()
    fanin.initialize(model, 0)
    assert torch.equal(getattr(model, name), before)


def test_both_parts_of_complex_numbers_are_seen() -> None:
    plan = fanin.plan(Recurrent(), inputs())
    assert not any("did not use it" in row.why for row in plan.values())
    for real, imaginary in (("read.0", "read.1"), ("tell.0", "tell.1")):
        assert str(plan[real].initializer) == str(plan[imaginary].initializer)
    for name in ("rate", "angle"):
        assert plan[name].keeps == "redrawn"


def test_a_bias_that_would_switch_rectifiers_off_is_not_kept() -> None:
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))
    nn.init.normal_(model[0].bias, -6.0, 0.5)
    fanin.initialize(model, 0, torch.randn(2, WIDTH))
    assert not model[0].bias.any()


def test_rows_of_a_layer_are_drawn_however_they_were_made() -> None:
    model = nn.Sequential(nn.Embedding(4, WIDTH), nn.Linear(WIDTH, WIDTH))
    with torch.no_grad():
        model[0].weight.copy_(torch.randn(WIDTH).expand(4, -1))
        model[1].weight.copy_(torch.randn(WIDTH).expand(WIDTH, -1))
    fanin.initialize(model, 0, torch.zeros(2, dtype=torch.long))
    assert all(layer.weight.unique(dim=0).shape[0] > 1 for layer in model)


class Extra(nn.Module):
    """A layer, and a parameter that nothing reads."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layer, self.extra = nn.Linear(WIDTH, 1), nn.Parameter(torch.zeros(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.layer(x)
        return made


@pytest.mark.parametrize("shape", [(0,), (0, WIDTH), (WIDTH, 0)])
def test_a_parameter_without_elements_is_planned(shape: tuple[int, ...]) -> None:
    model = Extra(shape)
    plan = fanin.initialize(model, 0, torch.zeros(1, WIDTH), strict=True)
    assert plan["extra"].shape == shape
    plan.verify(model)
