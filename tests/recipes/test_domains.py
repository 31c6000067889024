"""The recipes of other kinds of models by name, by their formulas."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError, initialize, plan
from fanin.initializers import normal, orthogonal, uniform, zeros
from fanin.recipes import find


def test_dcgan_draws_scales(zoo: Any) -> None:
    model = nn.Sequential(
        nn.ConvTranspose2d(5, 4, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3)
    )
    made = zoo.choices(model, "dcgan", torch.zeros(2, 5, 1, 1))
    assert made["0.weight"].initializer == made["3.weight"].initializer == normal(std=0.02)
    assert made["1.weight"].initializer == normal(1, 0.02)
    assert made["1.bias"].initializer == made["0.bias"].initializer == zeros()


class Modulated(nn.Module):
    """A block of DiT in small: norm, shift and scale, an MLP, a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.time, self.ada = nn.Linear(3, 8), nn.Linear(8, 24)
        self.patches, self.head = nn.Linear(5, 8), nn.Linear(8, 5)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> Any:
        c = nn.functional.silu(self.time(t))
        shift, scale, gate = self.ada(c).unsqueeze(1).chunk(3, -1)
        x = self.patches(x)
        y = nn.functional.layer_norm(x, (8,)) * (1 + scale) + shift
        x = x + gate * self.down(torch.relu(self.up(y)))
        return self.head(x)


def test_dit_is_ada_ln_zero(zoo: Any) -> None:
    inputs = (torch.zeros(2, 4, 5), torch.zeros(2, 3))
    found = zoo.stds(Modulated(), "dit", inputs)
    assert found["ada.weight"] == found["ada.bias"] == found["head.weight"] == 0
    assert found["time.weight"] == 0.02
    assert found["patches.weight"] == pytest.approx(math.sqrt(2 / 13))
    assert found["up.weight"] == found["down.weight"] == pytest.approx(math.sqrt(2 / 24))
    notes = plan(nn.Linear(3, 2), torch.zeros(1, 3), "dit").notes
    assert any("shows no weight that modulates blocks" in note for note in notes)


class Agent(nn.Module):
    """A policy of some actions, and a value."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        self.policy, self.value = nn.Linear(8, actions), nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> Any:
        h = self.body(x)
        return self.policy(h), self.value(h)


def test_ppo_tells_policy_from_value(zoo: Any) -> None:
    inputs = torch.zeros(2, 4)
    made = zoo.choices(Agent(3), "ppo", inputs)
    assert made["body.0.weight"].initializer == orthogonal(math.sqrt(2))
    assert made["policy.weight"].initializer == orthogonal(0.01)
    assert made["value.weight"].initializer == orthogonal(1)
    assert not any("ppo" in note for note in plan(Agent(3), inputs, "ppo").notes)
    notes = plan(Agent(1), inputs, "ppo").notes
    assert any("all heads have one output, as values have" in note for note in notes)


class Sine(nn.Module):
    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, x: torch.Tensor) -> Any:
        return torch.sin(self.omega * x)


def test_siren_finds_omega(zoo: Any) -> None:
    model = nn.Sequential(nn.Linear(2, 8), Sine(20.0), nn.Linear(8, 8), Sine(30.0), nn.Linear(8, 3))
    made = zoo.choices(model, "siren", torch.zeros(4, 2))
    assert made["0.weight"].initializer == uniform(-0.5, 0.5)
    for name in ("2.weight", "4.weight"):
        limit = math.sqrt(6 / 8) / 30
        assert made[name].initializer.std((3, 8)) == pytest.approx(limit / math.sqrt(3))
    notes = plan(nn.Sequential(nn.Linear(2, 3)), torch.zeros(1, 2), "siren").notes
    assert any("no weight whose outputs are read by a sine" in note for note in notes)


def test_sdf_is_a_sphere(zoo: Any) -> None:
    """Before training the output is nearly |x| - radius, at width 512 within a tenth."""
    layers = nn.Linear(3, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 1)
    model, x = nn.Sequential(*layers), torch.randn(64, 3, generator=torch.manual_seed(0))
    initialize(model, 0, x, "sdf(0.5)")
    told = model(x)[:, 0].detach()
    assert (told - (x.norm(dim=1) - 0.5)).abs().max() < 0.4
    assert (told / (x.norm(dim=1) - 0.5)).median().item() == pytest.approx(1, abs=0.15)
    with pytest.raises(FaninError, match=r"radius is -1; give a number above 0"):
        find("sdf(-1)")


class Coupling(nn.Module):
    """Half of the numbers scales and shifts the other."""

    def __init__(self, packed: bool) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6 if packed else 3))
        self.packed = packed

    def forward(self, x: torch.Tensor) -> Any:
        a, b = x.chunk(2, -1)
        if not self.packed:  # additive, as in NICE
            return torch.cat([b + self.net(a), a], -1)
        log_scale, shift = self.net(a).chunk(2, -1)
        return torch.cat([b * torch.exp(torch.tanh(log_scale)) + shift, a], -1)


def test_glow_begins_as_the_identity(zoo: Any) -> None:
    model, x = nn.Sequential(Coupling(True), Coupling(True)), torch.randn(4, 6)
    made = initialize(model, 0, x, recipe="glow")
    assert [made[f"{i}.net.2.weight"].initializer for i in (0, 1)] == [zeros(), zeros()]
    assert made["1.net.0.weight"].initializer == normal(std=0.05)
    assert torch.equal(model(x), x)  # two swaps
    assert not any("glow" in note for note in made.notes)
    notes = plan(Coupling(False), x, "glow").notes
    assert any("no weight whose parts scale and shift" in note for note in notes)


class Flow(nn.Module):
    """Six couplings, each half in turn."""

    def __init__(self, couple: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        nets = (nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 6)) for _ in range(6))
        self.nets, self.couple = nn.ModuleList(nets), couple

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, -1)
        for net in self.nets:
            a, b = self.couple(b, *net(a).chunk(2, -1)), a
        return torch.cat([a, b], -1)


@pytest.mark.parametrize(
    "couple",
    [
        lambda b, s, t: b * torch.exp(torch.tanh(s)) + t,  # RealNVP
        lambda b, s, t: (b + t) * torch.sigmoid(s + 2),  # Glow
        lambda b, s, t: (b - t) * torch.exp(-s),  # and back again
        lambda b, s, t: (b - t) / torch.sigmoid(s + 2),
        lambda b, s, t: b / torch.exp(s) + t,
    ],
)
def test_flows_begin_as_the_identity_under_auto(couple: Callable[..., torch.Tensor]) -> None:
    model, x = Flow(couple), torch.randn(64, 6)
    made = initialize(model, 0, x)
    assert all(made[f"nets.{i}.2.weight"].initializer == zeros() for i in range(6))
    assert "starts as the identity" in made["nets.0.2.weight"].why
    a, b = x.chunk(2, -1)
    scale = float(couple(torch.ones(()), torch.zeros(()), torch.zeros(())))
    assert torch.allclose(model(x), torch.cat([a, b], -1) * scale**3)


@pytest.mark.parametrize(
    "couple",
    [
        lambda b, s, t: b * (1 + s) + t,  # what modulates, and may switch off
        lambda b, s, t: b + torch.sigmoid(s) * (t - b),  # a mixture
        lambda b, s, t: s / torch.exp(b) + t,  # scaled by what it reads
        lambda b, s, t: torch.randn_like(b) * torch.exp(s) + t,  # a sample of a density
    ],
)
def test_what_auto_takes_for_no_flow(couple: Callable[..., torch.Tensor]) -> None:
    made = plan(Flow(couple), torch.randn(64, 6))
    assert not any(made[f"nets.{i}.2.weight"].initializer == zeros() for i in range(6))


def test_an_inverse_step_by_step_is_a_flow() -> None:
    """As masked autoregressive flows go back: the first step reads zeros alone."""

    class Inverse(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            made = torch.zeros_like(x)
            for _ in range(3):
                shift, size = self.net(made).chunk(2, -1)
                made = (x - shift) / torch.exp(size)
            return made

    model, x = Inverse(), torch.randn(8, 3)
    assert initialize(model, 0, x)["net.2.weight"].initializer == zeros()
    assert torch.equal(model(x), x)


def test_states_of_a_recurrence_are_no_flow() -> None:
    class Recurrence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.both, self.head = nn.Linear(6, 8), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> Any:
            state = x[:, 0, :4]
            for step in x.unbind(1):
                forget, new = self.both(step).chunk(2, -1)
                state = torch.sigmoid(forget) * state + new
            return self.head(state)

    assert plan(Recurrence(), torch.randn(8, 5, 6))["both.weight"].initializer != zeros()


def test_packed_gates_are_no_coupling(zoo: Any) -> None:
    """Both parts are of one weight, and nothing else is scaled."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.both, self.out = nn.Linear(4, 12), nn.Linear(6, 4)

        def forward(self, x: torch.Tensor) -> Any:
            gate, up = self.both(x).chunk(2, -1)
            return x + self.out(torch.sigmoid(gate) * up + up)

    made = zoo.choices(Gated(), "glow", torch.zeros(2, 4))
    assert made["both.weight"].initializer == normal(std=0.05)
