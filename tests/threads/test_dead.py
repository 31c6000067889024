"""Dead by construction: public failures, each with a small case of its kind."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin

X = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
Y = torch.randint(0, 4, (64,), generator=torch.Generator().manual_seed(2))


class First(nn.Module):
    """One expert of four, its weight divided by the sum of the chosen: by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(16, 4, bias=False)
        self.experts = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        top, index = self.gate(x).softmax(-1).topk(1, -1)
        top = top / (top.sum(-1, keepdim=True) + 1e-20)
        made = torch.stack([expert(x) for expert in self.experts], 1)
        chosen = made.gather(1, index[..., None].expand(-1, -1, 16))
        return self.head((chosen * top[..., None]).sum(1))


def test_a_router_that_gets_no_gradient() -> None:
    """minimind 858: the mixture was worse than the dense model."""
    found = fanin.check(First(), X, Y).findings
    assert any(finding.layer.startswith("gate") for finding in found)


class Modulated(nn.Module):
    """A block whose shift, scale and gate follow from a condition."""

    def __init__(self) -> None:
        super().__init__()
        self.cond = nn.Linear(8, 48)
        self.norm = nn.LayerNorm(16, elementwise_affine=False)
        self.mlp = nn.Linear(16, 16)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale, gate = self.cond(c).chunk(3, -1)
        return x + gate * self.mlp(self.norm(x) * (1 + scale) + shift)


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Modulated() for _ in range(12))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x, c)
        return x


def test_modulation_that_does_not_start_at_zero() -> None:
    """torchwm 134: the stream still starts near what comes in, and zero is one override away."""
    condition = torch.randn(64, 8, generator=torch.Generator().manual_seed(3))
    model = Deep()
    fanin.initialize(model, 0, (X, condition))
    assert model(X, condition).square().mean() < 8 * X.square().mean()
    fanin.initialize(model, 0, (X, condition), overrides={"*.cond.weight": "zeros"})
    assert torch.equal(model(X, condition), X)


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.mixing, self.head = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Any:
        hidden = self.up(x).relu()
        self.mixing(hidden)  # computed, and not used
        return self.head(hidden)


def test_a_matrix_that_is_computed_and_not_used() -> None:
    """mHC-manifold-constrained-hyper-connections 2 and 3."""
    (found,) = fanin.check(Unused(), X, Y).findings
    assert (found.id, found.layer) == ("F17", "mixing")
    assert "reaches no output" in found.measured


class Adapted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base, self.head = nn.Linear(16, 16), nn.Linear(16, 4)
        self.a, self.b = nn.Linear(16, 4, bias=False), nn.Linear(4, 16, bias=False)

    def forward(self, x: Tensor) -> Any:
        return self.head((self.base(x) + self.b(self.a(x))).relu())


@pytest.mark.parametrize("zero", ["a.weight", "b.weight"])
def test_either_half_of_an_adapter_may_start_at_zero(zero: str) -> None:
    """marin 4755: two starts of one function at step 0, which then learn otherwise."""
    torch.manual_seed(0)
    model = Adapted()
    without = model.head(model.base(X).relu())
    other = "b.weight" if zero == "a.weight" else "a.weight"
    given = {zero: "zeros", other: "he_uniform"}
    fanin.initialize(model, 0, X, only=["a.*", "b.*"], overrides=given)
    assert torch.equal(model(X), without)
    assert not [finding for finding in fanin.check(model, X, Y).findings if finding.id == "F10"]
