"""Tests of gated mixtures t f + (1 - t) x: highway networks and their kin, in every spelling."""

import math
from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.initializers import constant

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
WIDTH, BIAS = 64, -2.0

SPELLINGS: dict[str, Mix] = {
    "sum": lambda t, f, x: t * f + (1 - t) * x,
    "other order": lambda t, f, x: x * (1 - t) + f * t,
    "step": lambda t, f, x: x + t * (f - x),
    "step back": lambda t, f, x: x - t * (x - f),
    "step from the new": lambda t, f, x: f + (1 - t) * (x - f),
    "lerp": lambda t, f, x: torch.lerp(x, f, t),
    "lerp from the new": lambda t, f, x: torch.lerp(f, x, 1 - t),
    "addcmul": lambda t, f, x: torch.addcmul((1 - t) * x, t, f),
    "a tensor of ones": lambda t, f, x: t * f + (torch.ones_like(t) - t) * x,
    "negated": lambda t, f, x: t * f + (-t + 1) * x,
}


class Highway(nn.Module):
    """A layer of Srivastava et al. 2015; `packed`: both weights in one."""

    def __init__(self, mix: Mix, packed: bool = False) -> None:
        super().__init__()
        self.mix = mix
        if packed:
            self.both = nn.Linear(WIDTH, 2 * WIDTH)
        else:
            self.new, self.gate = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            nn.init.constant_(self.gate.bias, BIAS)

    def forward(self, x: Tensor) -> Tensor:
        if hasattr(self, "both"):
            new, gate = self.both(x).chunk(2, -1)
            gate = gate + BIAS
        else:
            new, gate = self.new(x), self.gate(x)
        return self.mix(torch.sigmoid(gate), torch.relu(new), x)


def network(mix: Mix, layers: int = 3, packed: bool = False) -> nn.Sequential:
    layer = [Highway(mix, packed) for _ in range(layers)]
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), *layer, nn.Linear(WIDTH, 10))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("packed", [False, True])
def test_every_spelling_gets_weights_of_the_same_size(spelling: str, packed: bool) -> None:
    x = torch.randn(4, WIDTH)
    plan = fanin.plan(network(SPELLINGS[spelling], packed=packed), x)
    for row in plan.rows:
        if row.name[0] in "123" and row.name.endswith("weight"):
            assert str(row.initializer) == "lecun_normal()", row
            assert "as large as the stream that is passed on beside it" in row.why
    assert "second moment 0.44" in plan["4.weight"].why


@pytest.mark.parametrize("spelling", ["sum", "step"])
def test_a_deep_highway_has_the_planned_outputs_and_its_gradients_last(spelling: str) -> None:
    """Seed 0, 256 samples, 50 layers; f and t of second moment one let gradients explode."""
    torch.manual_seed(0)
    net = network(SPELLINGS[spelling], layers=50)
    x = torch.randn(256, WIDTH)
    fanin.plan(net, x).apply(net, seed=0)
    first = net[0](x).detach().requires_grad_()
    last = net[1:-1](first)
    out = net[-1](last)
    assert 0.5 < float(out.detach().square().mean().sqrt()) < 2
    gradients = torch.autograd.grad(out, (first, last), torch.randn_like(out))
    relative = [
        float(g.norm() * h.detach().norm()) for g, h in zip(gradients, (first, last), strict=True)
    ]
    assert 0.05 < relative[0] / relative[1] < 20


def test_what_reads_the_stream_through_a_norm_has_second_moment_one() -> None:
    class Normed(Highway):
        def forward(self, x: Tensor) -> Tensor:
            h = nn.functional.layer_norm(x, x.shape[-1:])
            return self.mix(torch.sigmoid(self.gate(h)), torch.relu(self.new(h)), x)

    net = nn.Sequential(nn.Linear(WIDTH, WIDTH), *[Normed(SPELLINGS["sum"]) for _ in range(2)])
    plan = fanin.plan(net, torch.randn(4, WIDTH))
    assert all(plan[f"{at}.{name}.weight"].output == 1 for at in (1, 2) for name in ("new", "gate"))


def test_a_step_by_what_is_no_share_stays_a_residual_branch() -> None:
    class Step(Highway):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.tanh(self.gate(x)) * (self.new(x) - x)

    net = nn.Sequential(nn.Linear(WIDTH, WIDTH), Step(SPELLINGS["sum"]), nn.Linear(WIDTH, 2))
    assert "residual branch" in fanin.plan(net, torch.randn(4, WIDTH))["1.new.weight"].why


STEPS: dict[str, Mix] = {
    name: SPELLINGS[name]
    for name in ("sum", "other order", "step", "step back", "lerp", "addcmul", "negated")
}


class Averaged(nn.Module):
    """A layer that mixes its input and what it makes of it by a parameter."""

    def __init__(self, mix: Mix, share: float, through: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.new, self.mix, self.through = nn.Linear(WIDTH, WIDTH), mix, through
        self.share = nn.Parameter(torch.full((WIDTH,), share))

    def forward(self, x: Tensor) -> Tensor:
        share = self.share if self.through is None else self.through(self.share)
        return self.mix(share, torch.relu(self.new(x)), x)


@pytest.mark.parametrize("through", [None, torch.sigmoid], ids=["as it is", "sigmoid"])
@pytest.mark.parametrize("spelling", STEPS)
def test_a_parameter_mixes_and_stays(
    spelling: str, through: Callable[[Tensor], Tensor] | None
) -> None:
    """No branch is added to a stream; f, relu of size one, has mean 1 / sqrt(2 pi)."""
    share = 0.5 if through is None else 0.001
    layers = [Averaged(STEPS[spelling], share, through) for _ in range(4)]
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), *layers, nn.Linear(WIDTH, 4))
    plan = fanin.plan(model, torch.randn(8, WIDTH))
    mean, second, new = 0.0, 1.0, (2 * math.pi) ** -0.5
    for at in range(1, 5):
        row = plan[f"{at}.new.weight"]
        assert "branch" not in row.why
        assert row.std == pytest.approx((WIDTH * second) ** -0.5, rel=0.01)
        assert plan[f"{at}.share"].initializer == constant(share)
        mean, second = (mean + new) / 2, second / 4 + 1 / 8 + mean * new / 2
    assert plan["5.weight"].std == pytest.approx((WIDTH * second) ** -0.5, rel=0.01)


def test_a_shift_of_words_is_the_word_before() -> None:
    """RWKV's x + (x' - x) k, with k one, is x' alone."""

    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.k, self.out = nn.Parameter(torch.ones(WIDTH)), nn.Linear(WIDTH, 5)

        def forward(self, x: Tensor) -> Tensor:
            before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1)
            return self.out(x + (before - x) * self.k)

    plan = fanin.plan(Shift(), torch.randn(2, 64, WIDTH))
    assert plan["out.weight"].std == pytest.approx(WIDTH**-0.5, rel=0.05)


def test_an_affine_coupling_is_no_decay() -> None:
    """RealNVP's v exp(s) + t grows; what reads it is sized for that."""

    class Flow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = nn.ModuleList(nn.Linear(32, 64) for _ in range(6))
            self.head = nn.Linear(64, 4)

        def forward(self, x: Tensor) -> Tensor:
            for step in self.steps:
                fixed, moved = x.chunk(2, -1)
                scale, shift = step(fixed).chunk(2, -1)
                x = torch.cat([moved * scale.tanh().exp() + shift, fixed], -1)
            return cast(Tensor, self.head(x))

    torch.manual_seed(0)
    model, x = Flow(), torch.randn(256, 64)
    fanin.initialize(model, 0, x)
    assert 0.3 < float(model(x).detach().square().mean()) < 3


LEAKS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "parts": lambda h, f: 0.9 * h + 0.1 * f,
    "what is left": lambda h, f: h - 0.1 * h + 0.1 * f,
    "step": lambda h, f: h + 0.1 * (f - h),
    "step from its negative": lambda h, f: h + 0.1 * (-h + f),
    "lerp": lambda h, f: torch.lerp(h, f, 0.1),
}


@pytest.mark.parametrize("spelling", LEAKS)
def test_a_state_that_leaks_keeps_its_recurrent_weight(spelling: str) -> None:
    """However small the state is at first, the weight that reads it has variance 1 / fan_in."""

    class Leaky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read, self.again = nn.Linear(8, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.head = nn.Linear(WIDTH, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.zeros(len(x), WIDTH)
            for step in x.unbind(1):
                h = LEAKS[spelling](h, torch.tanh(self.read(step) + self.again(h)))
            return cast(Tensor, self.head(h))

    torch.manual_seed(0)
    model, x = Leaky(), torch.randn(64, 40, 8)
    plan = fanin.initialize(model, 0, x)
    assert plan["again.weight"].std == pytest.approx(WIDTH**-0.5, rel=1e-6)
    assert plan["read.weight"].std == pytest.approx(8**-0.5, rel=1e-6)
    assert 0.02 < float(model(x).detach().square().mean()) < 5
