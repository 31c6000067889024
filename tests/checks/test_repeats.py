"""F08 and F09 within one weight: heads, members, packed matrices, time steps that are the same."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Finding

GENERATOR = torch.Generator().manual_seed(0)
INPUTS = torch.randn(64, 6, 16, generator=GENERATOR)
TARGETS = torch.arange(64) % 4


def found(model: nn.Module, inputs: Tensor = INPUTS, rules: str = "F08,F09,F14") -> list[Finding]:
    return list(fanin.check(model, inputs, TARGETS, select=rules).findings)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = nn.Linear(16, 64), nn.Linear(64, 4)
        self.inner = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        h = self.words(x)
        out: Tensor = self.head((h + self.inner(h, h, h, need_weights=False)[0]).mean(1))
        return out

    def copy(self, first: int, size: int, count: int) -> "Attention":
        """The same rows several times, from a row on."""
        with torch.no_grad():
            rows = self.inner.in_proj_weight[first : first + size * count]
            rows.copy_(rows[:size].repeat(count, 1))
        return self

    def join(self) -> "Attention":
        """What heads give is added up as if they were one."""
        with torch.no_grad():
            weight = self.inner.out_proj.weight
            weight.copy_(weight[:, :16].repeat(1, 4))
        return self


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ([(0, 64, 3)], "3 times the same 64 rows"),  # query, key and value
        ([(0, 64, 2)], "2 times the same 64 rows, from row 0 on"),
        ([(64, 16, 4)], "4 times the same 16 rows, from row 64 on"),  # heads of the key
        ([(0, 16, 4), (64, 16, 4), (128, 16, 4)], "4 times the same 16 rows, and so 3 times"),
        ([(0, 16, 12)], "12 times the same 16 rows"),
    ],
)
def test_heads_and_packed_matrices_that_are_copies(
    places: list[tuple[int, int, int]], told: str
) -> None:
    model = Attention()
    for place in places:
        model.copy(*place)
    (one,) = found(model)
    assert (one.id, one.severity, one.layer) == ("F09", "note", "inner.in_proj_weight")
    assert one.measured == told
    fanin.initialize(model, seed=0, inputs=INPUTS)
    assert found(model) == []


def test_heads_that_never_part() -> None:
    model = Attention().join()
    for first in (0, 64, 128):
        model.copy(first, 16, 4)
    (one,) = found(model)
    assert (one.id, one.severity) == ("F08", "warning")
    assert "48 different of 192 units" in one.measured
    assert one.measured.endswith("4 times the same 16 rows, and so 3 times")


def test_attention_as_made_and_repeats_of_structure() -> None:
    assert found(Attention()) == []
    assert found(Attention().join()) == []
    model = Attention()
    with torch.no_grad():
        model.inner.in_proj_weight.copy_(torch.eye(64).repeat(3, 1))
    assert found(model) == []


class Ensemble(nn.Module):
    """Networks side by side, in one weight for each layer."""

    def __init__(self, members: int = 5) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Parameter(torch.randn(members, 96, 64) / 96**0.5)
        self.bias = nn.Parameter(torch.zeros(members, 1, 64))
        self.last = nn.Parameter(torch.randn(members, 64, 4) / 8)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.einsum("bd,mdh->mbh", x.flatten(1), self.first) + self.bias
        return torch.einsum("mbh,mho->mbo", torch.relu(h), self.last).mean(0)

    def equal(self, *names: str) -> "Ensemble":
        with torch.no_grad():
            for name in names:
                weight = self.get_parameter(name)
                weight.copy_(weight[:1].expand_as(weight))
        return self


def test_members_that_are_copies() -> None:
    assert found(Ensemble()) == []
    (one,) = found(Ensemble().equal("first"))
    assert (one.id, one.severity, one.layer) == ("F09", "note", "first")
    assert one.measured == "5 times the same 64 rows"
    (one,) = found(Ensemble().equal("first", "last"))
    assert (one.id, one.severity, one.layer) == ("F08", "warning", "first")
    assert one.measured.endswith("5 times the same 64 rows; such also in last")


def test_layers_of_one_weight_that_are_copies() -> None:
    class Stacked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.weights = nn.Parameter((torch.randn(1, 96, 96) / 7).repeat(3, 1, 1))
            self.head = nn.Linear(96, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = x.flatten(1)
            for at in range(3):
                h = torch.relu(h @ self.weights[at])
            out: Tensor = self.head(h)
            return out

    (one,) = found(Stacked())
    assert (one.id, one.severity) == ("F09", "warning")
    assert "one behind another" in one.why


class StateSpace(nn.Module):
    """A scan as Mamba has it, with a time step and a decay rate for each head."""

    def __init__(self, steps: Tensor, rates: Tensor) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.out = nn.Linear(16, 64), nn.Linear(64, 4)
        self.steps = nn.Linear(16, 8, bias=False)
        self.bias, self.rates = nn.Parameter(steps), nn.Parameter(rates)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.inner(x).unflatten(-1, (8, 8))
        steps = nn.functional.softplus(self.steps(x) + self.bias)
        state: Any = torch.zeros(len(x), 8, 8)
        for at in range(x.shape[1]):
            kept = torch.exp(steps[:, at] * -torch.exp(self.rates))
            state = kept[..., None] * state + steps[:, at, :, None] * inner[:, at]
        out: Tensor = self.out(state.flatten(1))
        return out


def test_heads_of_a_state_space_that_forget_alike() -> None:
    (one,) = found(StateSpace(torch.zeros(8), torch.zeros(8)))
    assert (one.id, one.severity) == ("F08", "note")
    assert one.measured == "one value in all of rates and bias"
    spread = torch.linspace(-6, -2, 8)
    for steps, rates in ((spread, torch.zeros(8)), (torch.zeros(8), spread)):
        assert found(StateSpace(steps, rates)) == []
