"""Constants that the constructor gave on purpose: which stay, and which the model cannot have."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import fanin
from fanin.initializers import Initializer, constant, normal, ones, zeros

Forward = Callable[[Any, torch.Tensor], Any]


class Net(nn.Module):
    """Two linear layers `a` and `b`, the given parameters, and a forward of its own."""

    def __init__(self, forward: Forward, **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = forward

    def forward(self, x: torch.Tensor) -> Any:
        return self.run(self, x)


def filled(*shape: int, value: float = 0.0) -> nn.Parameter:
    return nn.Parameter(torch.full(shape, value))


def blank(inputs: int, outputs: int, bias: float = 0.0) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.constant_(layer.bias, bias)
    return layer


def loop(net: Any, x: torch.Tensor) -> torch.Tensor:
    h = net.p.expand(len(x), -1)
    for step in range(x.shape[1]):
        h = torch.tanh(net.a(x[:, step]) + net.b(h))
    return h


def crf(net: Any, x: torch.Tensor) -> torch.Tensor:
    emitted = net.b(net.a(x))
    scores = emitted[:, 0]
    for step in range(1, x.shape[1]):
        scores = torch.logsumexp(scores[:, :, None] + net.p + emitted[:, step, None], 1)
    return torch.logsumexp(scores, 1)


def gru(net: Any, x: torch.Tensor) -> torch.Tensor:
    out, _ = net.gru(net.a(x), net.p.expand(-1, len(x), -1).contiguous())
    return net.b(out)


# What stays, with the value that it was made with.
STAYS: dict[str, tuple[Forward, dict[str, Any]]] = {
    "returned": (lambda m, x: (m.b(m.a(x)), m.p), {"p": filled(6, value=-0.5)}),
    "expanded": (lambda m, x: (m.b(m.a(x)), m.p.expand(2, 6)), {"p": filled(1, 6)}),
    "exp": (lambda m, x: (m.b(m.a(x)), m.p.exp()), {"p": filled(6, value=-0.5)}),
    "rezero": (lambda m, x: m.b(x + m.p * m.a(x)), {"p": filled(1)}),
    "tanh gate": (lambda m, x: m.b(x + torch.tanh(m.p) * m.a(x)), {"p": filled(1)}),
    "temperature": (lambda m, x: m.a(x) @ m.b(x).mT * m.p.exp(), {"p": filled(value=2.66)}),
    "state of a loop": (loop, {"p": filled(1, 4)}),
    "state of a layer": (gru, {"p": filled(1, 1, 4), "gru": nn.GRU(4, 4, batch_first=True)}),
    "transitions": (crf, {"p": filled(4, 4)}),
    "power": (
        lambda m, x: m.b(m.a(x).clamp(min=1e-6).pow(m.p).mean(1).pow(1 / m.p)),
        {"p": filled(1, value=3.0)},
    ),
}


@pytest.mark.parametrize("case", STAYS)
@pytest.mark.parametrize("recipe", ["auto", "orthogonal"])
def test_a_constant_stays_where_the_model_does_not_need_another(case: str, recipe: str) -> None:
    forward, parts = STAYS[case]
    made = parts["p"].flatten()[0].item()
    want = {0.0: zeros(), 1.0: ones()}.get(made) or constant(round(made, 6))
    for inputs in (torch.zeros(2, 5, 4), None):
        if inputs is None and case == "state of a layer":
            continue  # by its shape it may be a token
        plan = fanin.plan(Net(forward, **parts), inputs, recipe)
        assert plan["p"].initializer == want
        assert not [note for note in plan.notes if "constructor" in note]


def with_bias(bias: float, act: Callable[[torch.Tensor], torch.Tensor]) -> Net:
    net = Net(lambda m, x: m.b(act(m.a(x))))
    nn.init.constant_(net.a.bias, bias)
    return net


def test_a_bias_stays_unless_it_switches_a_rectifier_off() -> None:
    x = torch.zeros(2, 4)
    for bias, act in ((-3.0, torch.sigmoid), (-1.0, torch.relu), (2.0, torch.relu)):
        assert fanin.plan(with_bias(bias, act), x)["a.bias"].initializer == constant(bias)
    plan = fanin.plan(with_bias(-8.0, torch.relu), x)
    assert plan["a.bias"].initializer == zeros()
    assert plan.notes == (
        "the constructor made -8 of a.bias; the plan says zeros(). Pass overrides= to have it "
        "otherwise.",
    )
    prior = with_bias(0.0, torch.relu)
    nn.init.constant_(prior.b.bias, -math.log(99))
    for recipe in ("auto", "orthogonal", "torch"):
        assert fanin.plan(prior, x, recipe)["b.bias"].initializer == constant(-4.59512)


def test_what_reads_a_kept_bias_is_sized_for_it() -> None:
    """E relu(z + 2)**2 is (1 + 4) Phi(2) + 2 phi(2)."""
    row = fanin.plan(with_bias(2.0, torch.relu), torch.zeros(2, 4))["b.weight"]
    phi, density = math.erfc(-math.sqrt(2)) / 2, math.exp(-2) / math.sqrt(2 * math.pi)
    assert row.std == pytest.approx(1 / math.sqrt(4 * (5 * phi + 2 * density)), rel=1e-6)


def test_a_gate_with_a_bias_is_planned_with_it() -> None:
    def highway(m: Any, x: torch.Tensor) -> torch.Tensor:
        gate = torch.sigmoid(m.a(x))
        return m.c(gate * torch.relu(m.b(x)) + (1 - gate) * x)

    net = Net(highway, c=nn.Linear(4, 2))
    nn.init.constant_(net.a.bias, -3.0)
    assert fanin.plan(net, torch.zeros(2, 4))["a.bias"].initializer == constant(-3.0)


def adaln(m: Any, x: torch.Tensor) -> torch.Tensor:
    shift, scale, gate = m.p(functional.silu(m.a(x.mean(1)))).chunk(3, -1)
    return m.c(
        x
        + gate[:, None]
        * m.b(functional.layer_norm(x, (4,)) * (1 + scale[:, None]) + shift[:, None])
    )


# Weights that are zero on purpose, and those with which no gradient comes through.
ZERO: dict[str, tuple[Forward, dict[str, Any], Initializer | None]] = {
    "end of a branch": (lambda m, x: m.b(x + m.p(m.a(x))), {"p": blank(4, 4)}, zeros()),
    "head": (lambda m, x: m.p(torch.relu(m.b(m.a(x)))), {"p": blank(4, 3)}, zeros()),
    "behind a mask": (
        lambda m, x: functional.linear(
            torch.relu(m.a(x)), m.p.weight * torch.ones(4, 4).tril(), m.p.bias
        ), {"p": blank(4, 4)}, zeros()
    ),
    "behind a square": (
        lambda m, x: functional.linear(torch.relu(m.a(x)), m.p.weight**2), {"p": blank(4, 3)}, None
    ),
    "modulation": (adaln, {"p": blank(4, 12), "c": nn.Linear(4, 2)}, zeros()),
    "in a chain": (lambda m, x: m.b(torch.tanh(m.p(m.a(x)))), {"p": blank(4, 4)}, None),
    "before a rectifier": (
        lambda m, x: m.b(x + torch.relu(m.p(m.a(x)))), {"p": blank(4, 4)}, None
    ),
    "the only rows": (
        lambda m, x: m.b(m.a(m.p(x[..., 0].long()))),
        {"p": nn.Embedding.from_pretrained(torch.zeros(5, 4), freeze=False)},
        normal(),
    ),
    "rows beside others": (
        lambda m, x: m.b(m.a(x) + m.p(x[..., 0].long())),
        {"p": nn.Embedding.from_pretrained(torch.zeros(5, 4), freeze=False)},
        zeros(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ZERO)
def test_zero_weights_stay_where_the_model_trains_with_them(case: str) -> None:
    forward, parts, want = ZERO[case]
    plan = fanin.plan(Net(forward, **parts), torch.zeros(2, 5, 4))
    told = [note for note in plan.notes if "made 0 of p.weight" in note]
    assert bool(told) == (want != zeros())
    drawn = plan["p.weight"].initializer
    assert drawn == want if want is not None else plan["p.weight"].std


def test_of_two_zeros_in_a_row_one_is_drawn() -> None:
    parts = {"p": blank(4, 2), "q": blank(2, 4), "c": nn.Linear(4, 3)}
    net = Net(lambda m, x: m.c(m.b(m.a(x)) + m.q(m.p(x))), **parts)
    plan = fanin.plan(net, torch.zeros(2, 4))
    assert plan["p.weight"].std
    assert plan["q.weight"].initializer == zeros()

    def attend(m: Any, x: torch.Tensor) -> torch.Tensor:
        return m.b(x + functional.softmax(m.p(x) @ m.q(x).mT, -1) @ m.a(x))

    plan = fanin.plan(Net(attend, p=blank(4, 4), q=blank(4, 4)), torch.zeros(2, 5, 4))
    assert plan["p.weight"].std
    assert plan["q.weight"].initializer == zeros()


def test_zero_weights_that_are_most_were_never_drawn() -> None:
    net = nn.Sequential(blank(4, 4), nn.ReLU(), blank(4, 4), nn.ReLU(), blank(4, 2))
    for inputs in (torch.zeros(2, 4), None):
        plan = fanin.plan(net, inputs)
        assert all(plan[f"{layer}.weight"].std for layer in (0, 2, 4))


def test_scales_of_zero_stay_at_the_ends_of_branches_alone() -> None:
    def chain(m: Any, x: torch.Tensor) -> torch.Tensor:
        return m.b(torch.relu(m.norm(m.a(x))))

    def branch(m: Any, x: torch.Tensor) -> torch.Tensor:
        return m.b(x + m.norm(m.a(x)))

    for forward, want in ((chain, ones()), (branch, zeros())):
        norm = nn.LayerNorm(4)
        nn.init.zeros_(norm.weight)
        for recipe in ("auto", "orthogonal"):
            plan = fanin.plan(Net(forward, norm=norm), torch.zeros(2, 4), recipe)
            assert plan["norm.weight"].initializer == want
            assert bool(plan.notes) == (want == ones())


def test_a_layer_scale_is_sized_with_a_note() -> None:
    net = Net(
        lambda m, x: m.b(x + m.p * m.a(functional.layer_norm(x, (4,)))), p=filled(4, value=1e-5)
    )
    plan = fanin.plan(net, torch.zeros(2, 4))
    assert plan["p"].why == "ends a residual branch, 1 of 1 on its stream"
    assert plan.notes[0].startswith("the constructor made 1e-05 of p; the plan says constant(")


def test_tokens_are_drawn_with_a_note() -> None:
    def token(m: Any, x: torch.Tensor) -> torch.Tensor:
        return m.b(m.a(torch.cat([m.p.expand(len(x), -1, -1), x], 1)))

    plan = fanin.plan(Net(token, p=filled(1, 1, 4)), torch.zeros(2, 5, 4))
    assert plan["p"].initializer == normal()
    assert plan.notes[0].startswith("the constructor made 0 of p; the plan says normal(0.0, 1.0)")


def test_an_override_wins_over_what_was_made() -> None:
    net = Net(lambda m, x: (m.b(m.a(x)), m.p), p=filled(3))
    plan = fanin.plan(net, torch.zeros(2, 4), overrides={"p": "constant(2)"})
    assert plan["p"].initializer == constant(2.0)
    assert not plan.notes


def test_built_empty_and_real_give_the_same_plan() -> None:
    def build() -> Net:
        parts = {"p": filled(6, value=-0.5), "c": blank(4, 4), "d": nn.Linear(4, 3)}
        nn.init.constant_(parts["d"].bias, -4.6)
        return Net(lambda m, x: (m.d(m.b(x + m.c(m.a(x)))), m.p.exp()), **parts)

    with fanin.empty_weights():
        empty = build()
    for inputs in (torch.zeros(2, 4), None):
        assert fanin.plan(empty, inputs) == fanin.plan(build(), inputs)


def test_a_faint_scale_needs_a_stream_beside_it() -> None:
    """In the one block without a shortcut, a layer scale of 1e-5 would silence all that follow."""

    def forward(net: Any, x: torch.Tensor) -> Any:
        x = x + net.scale * net.a(x) if net.shortcut else net.scale * net.a(x)
        return net.b(x)

    kept, alone = (
        Net(forward, scale=filled(4, value=1e-5)),
        Net(forward, scale=filled(4, value=1e-5)),
    )
    kept.shortcut, alone.shortcut = True, False
    inputs = torch.zeros(2, 4)
    assert "ends a residual branch" in fanin.plan(kept, inputs)["scale"].why
    row = fanin.plan(alone, inputs)["scale"]
    assert row.initializer == ones()
    assert "not 1e-05 as made" in row.why
    small = Net(forward, scale=filled(4, value=0.05))
    small.shortcut = False
    assert fanin.plan(small, inputs)["scale"].initializer == constant(0.05)


def test_a_faint_scale_of_a_branch_without_weights_stays() -> None:
    """A pool less what it pools, beside it: the stream passes, whatever the scale."""

    def forward(net: Any, x: torch.Tensor) -> Any:
        x = net.a(x)
        smooth = nn.functional.avg_pool1d(x[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
        return net.b(x + net.scale * (smooth - x))

    net = Net(forward, scale=filled(4, value=1e-5))
    assert fanin.plan(net, torch.zeros(2, 4))["scale"].initializer == constant(1e-5)
