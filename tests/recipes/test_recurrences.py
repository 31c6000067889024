"""The recipes of networks with a state, by their formulas."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError, initialize, plan
from fanin.initializers import chrono, identity, log_uniform, normal, orthogonal, s4d_real, zeros
from fanin.recipes import find


def test_irnn_is_the_identity(zoo: Any) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.RNN(3, 5, nonlinearity="relu"), nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> Any:
            return self.head(self.rnn(x)[0])

    made = zoo.choices(Net(), "irnn", torch.zeros(4, 2, 3))
    assert made["rnn.weight_hh_l0"].initializer == identity()
    assert made["rnn.weight_ih_l0"].initializer == normal(std=0.001)
    assert made["head.weight"].initializer == normal(std=0.001)
    assert made["rnn.bias_hh_l0"].initializer == zeros()
    assert not find("irnn").needs_graph


class Reader(nn.Module):
    def __init__(self, kind: str = "LSTM") -> None:
        super().__init__()
        self.rnn, self.head = getattr(nn, kind)(3, 5, num_layers=2), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.rnn(x)[0])


def test_chrono_spreads_memories() -> None:
    model = Reader()
    made = initialize(model, 0, recipe="chrono(50)")
    for layer in ("l0", "l1"):
        assert made[f"rnn.bias_ih_{layer}"].initializer == chrono(50.0)
        assert made[f"rnn.bias_hh_{layer}"].initializer == zeros()
        assert made[f"rnn.weight_hh_{layer}"].initializer == orthogonal()
    write, forget, *_ = model.rnn.bias_ih_l0.chunk(4)
    assert torch.equal(write, -forget)
    assert 0 < forget.min() < forget.max() < math.log(49)
    assert plan(Reader("GRU"), recipe="chrono")["rnn.bias_ih_l0"].initializer == zeros()
    with pytest.raises(FaninError, match="steps of chrono is 1"):
        find("chrono(1)")


class StateSpace(nn.Module):
    """Mamba in small: a convolution, steps through a softplus, a scan, a gate."""

    def __init__(self, width: int = 8, states: int = 4, rank: int = 2) -> None:
        super().__init__()
        self.norm, self.both = nn.LayerNorm(width), nn.Linear(width, 2 * width, bias=False)
        self.read = nn.Linear(width, rank + 2 * states, bias=False)
        self.steps, self.out = nn.Linear(rank, width), nn.Linear(width, width, bias=False)
        self.rates = nn.Parameter(torch.randn(width, states))
        self.past = nn.Parameter(torch.ones(width))
        self.sizes = rank, states, states

    def forward(self, x: torch.Tensor) -> Any:
        u, gate = self.both(self.norm(x)).chunk(2, -1)
        rank, b, c = self.read(u).split(self.sizes, -1)
        step = nn.functional.softplus(self.steps(rank)).unsqueeze(-1)
        kept = torch.exp(step * -torch.exp(self.rates))
        state, seen = torch.zeros_like(kept[:, 0]), []
        for t in range(x.shape[1]):
            state = kept[:, t] * state + step[:, t] * b[:, t, None] * u[:, t, :, None]
            seen.append((state * c[:, t, None]).sum(-1))
        y = torch.stack(seen, 1) + self.past * u
        return x + self.out(y * nn.functional.silu(gate))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(11, 8), nn.Linear(8, 11, bias=False)
        self.layers = nn.Sequential(*(StateSpace() for _ in range(3)))

    def forward(self, ids: torch.Tensor) -> Any:
        return self.head(self.layers(self.table(ids)))


def test_mamba_draws_steps_and_rates_though_they_were_made() -> None:
    made = initialize(Words(), 0, torch.zeros(2, 5, dtype=torch.long), recipe="mamba")
    steps = log_uniform(0.001, 0.1, transform="inverse_softplus")
    for layer in range(3):
        rows = {name: made[f"layers.{layer}.{name}"] for name in ("rates", "steps.bias", "past")}
        assert [rows["rates"].initializer, rows["steps.bias"].initializer] == [s4d_real(), steps]
        assert rows["past"].std == 0
    std = {name: made[f"layers.1.{name}.weight"].std for name in ("both", "steps", "out")}
    assert std["both"] == pytest.approx(1 / math.sqrt(3 * 8))
    assert std["steps"] == pytest.approx(1 / math.sqrt(3 * 2))
    assert std["out"] == pytest.approx(1 / math.sqrt(3 * 8 * 3))  # three branches
    assert made["table.weight"].initializer == normal(std=0.02)
    assert not any("mamba" in note for note in made.notes)


def test_other_recipes_leave_steps_and_rates(zoo: Any) -> None:
    model = Words()
    nn.init.uniform_(model.layers[0].steps.bias, -6, -3)
    made = plan(model, torch.zeros(2, 5, dtype=torch.long), "torchtitan")
    assert made["layers.0.steps.bias"].initializer is None


def test_mamba_tells_where_nothing_decays() -> None:
    notes = plan(Reader(), torch.zeros(4, 2, 3), "mamba").notes
    assert any("no decay rate exp(p) that acts for a softplus" in note for note in notes)
