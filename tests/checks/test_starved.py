"""F17: weights that an operation leaves without a gradient, and healthy ones beside them."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Finding

INPUTS = torch.randn(128, 32, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(128) % 4


def found(model: nn.Module, inputs: Tensor = INPUTS) -> list[Finding]:
    """What speaks of gradients that do not come."""
    targets = TARGETS[: len(inputs)]
    findings = fanin.check(model, inputs, targets, select="F03,F10,F17").findings
    return [one for one in findings if one.severity != "note"]


def line(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Experts(nn.Module):
    """A mixture of experts, and how it makes weights of the router's logits."""

    def __init__(self, choose: Callable[[Tensor], tuple[Tensor, Tensor]], count: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.router = line(32, 64), nn.Linear(64, count)
        self.experts = nn.ModuleList([line(64, 128, 64) for _ in range(count)])
        self.head, self.choose = nn.Linear(64, 4), choose

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner(x)
        logits = self.router(h)
        top, index = self.choose(logits)
        weights = torch.zeros_like(logits).scatter(-1, index, top)
        made = torch.stack([expert(h) for expert in self.experts], 1)
        out: Tensor = self.head(h + (weights[..., None] * made).sum(1))
        return out


def chosen(logits: Tensor, k: int = 1) -> Any:
    return logits.softmax(-1).topk(k)


def by_sum(logits: Tensor, k: int = 1, eps: float = 0.0) -> tuple[Tensor, Tensor]:
    top, index = chosen(logits, k)
    return top / (top.sum(-1, keepdim=True) + eps), index


def clamped(logits: Tensor) -> tuple[Tensor, Tensor]:
    top, index = logits.softmax(-1).max(-1, keepdim=True)
    return top / top.sum(-1, keepdim=True).clamp(min=1e-9), index


def softmax_after(logits: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    top, index = logits.topk(k)
    return top.softmax(-1), index


@pytest.mark.parametrize(
    ("choose", "why"),
    [
        (by_sum, "divi"),
        (lambda logits: by_sum(logits, eps=1e-9), "divi"),
        (clamped, "divi"),
        (softmax_after, "softmax"),
    ],
)
def test_a_router_of_one_expert_that_is_normalized_by_its_own_sum(choose: Any, why: str) -> None:
    (one,) = found(Experts(choose))
    assert (one.id, one.severity, one.layer) == ("F17", "warning", "router")
    assert "router.weight" in one.measured
    assert one.value is not None
    assert one.value < 1e-7
    assert why in one.why


@pytest.mark.parametrize(
    "choose", [chosen, lambda logits: by_sum(logits, 2), lambda logits: softmax_after(logits, 2)]
)
def test_routers_that_learn(choose: Any) -> None:
    assert found(Experts(choose)) == []
    assert found(Experts(choose, 16), INPUTS[:4]) == []  # most experts are chosen by no input


class Gated(nn.Module):
    """A branch behind a gate; `gate` gives its size."""

    def __init__(self, start: Any, gate: Callable[[Any], Any] = lambda start: start) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.branch, self.head = line(32, 64), line(64, 64, 64), nn.Linear(64, 4)
        if isinstance(start, nn.Module):
            self.gate = start
        elif isinstance(start, Tensor):
            self.start = nn.Parameter(start)
        else:
            self.start = start
        self.how = gate

    def forward(self, x: Tensor) -> Tensor:
        h = self.inner(x)
        gate = self.how(self.gate(h) if hasattr(self, "gate") else self.start)
        out: Tensor = self.head(h + gate * self.branch(h))
        return out


def shut() -> nn.Linear:
    gate = nn.Linear(64, 64)
    nn.init.constant_(gate.bias, -40.0)
    return gate


@pytest.mark.parametrize(
    ("build", "fix"),
    [
        (lambda: Gated(0.0), "A trainable factor"),
        (lambda: Gated(1e-9), "A trainable factor"),
        (lambda: Gated(torch.tensor(-30.0), torch.sigmoid), "zeros() for start."),
        (lambda: Gated(torch.tensor(-1.0), torch.relu), "ones() for start."),
        (lambda: Gated(shut(), torch.sigmoid), "zeros() for the bias of gate"),
    ],
)
def test_a_branch_behind_a_gate_that_is_shut(build: Callable[[], Gated], fix: str) -> None:
    (one,) = found(build())
    assert (one.id, one.severity, one.layer) == ("F17", "warning", "branch")
    assert one.measured.endswith("for branch.0.weight, branch.2.weight")
    assert one.fix.startswith(fix)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Gated(torch.tensor(0.0)),  # it moves first
        lambda: Gated(torch.tensor(1e-9)),
        lambda: Gated(torch.full((64,), 1e-6)),
        lambda: Gated(torch.tensor(-4.0), torch.sigmoid),
        lambda: Gated(nn.Linear(64, 64), torch.sigmoid),
    ],
)
def test_gates_that_open(build: Callable[[], Gated]) -> None:
    assert found(build()) == []


class OnePosition(nn.Module):
    """Attention over as many positions as there are inputs of `size` features."""

    def __init__(self, size: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Linear(size, 64)
        self.query, self.key, self.value = (nn.Linear(64, 64) for _ in range(3))
        self.head, self.size = nn.Linear(64, 4), size

    def forward(self, x: Tensor) -> Tensor:
        h = self.words(x.unflatten(1, (-1, self.size)))
        q, k, v = self.query(h), self.key(h), self.value(h)
        out: Tensor = self.head((h + nn.functional.scaled_dot_product_attention(q, k, v)).mean(1))
        return out


def test_attention_to_one_position() -> None:
    (one,) = found(OnePosition(32))
    assert (one.id, one.severity) == ("F17", "warning")
    assert "query.weight, key.weight" in one.measured
    assert "one value" in one.why
    assert found(OnePosition(8)) == []


def test_a_norm_of_one_feature_takes_what_it_gates_along() -> None:
    gate = nn.Sequential(nn.Linear(64, 1), nn.LayerNorm(1))
    (one,) = found(Gated(gate))
    assert one.id == "F17"
    assert "gate.0.weight" in one.measured
    assert "branch.0.weight" in one.measured
    assert "layer_norm" in one.why
    assert found(Gated(nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64)))) == []


def test_what_other_rules_tell_is_not_told_twice() -> None:
    torch.manual_seed(0)
    dead = line(32, 64, 64, 4)
    nn.init.constant_(dead[2].bias, -50.0)
    deep = nn.Sequential(
        *(part for at in range(16) for part in (nn.Linear(64 if at else 32, 64), nn.Sigmoid())),
        nn.Linear(64, 4),
    )
    for model in (dead, deep):
        assert "F17" not in {one.id for one in found(model)}
        assert "F03" in {one.id for one in found(model)}


def test_biases_that_a_norm_takes_away_and_rows_that_no_input_reads() -> None:
    torch.manual_seed(0)
    conv = nn.Sequential(
        nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(),
        nn.Linear(32, 4),
    )  # fmt: skip
    assert found(conv) == []
    words = nn.Sequential(nn.Embedding(1000, 16), nn.Flatten(), nn.Linear(48, 4))
    assert found(words, torch.arange(96).reshape(32, 3)) == []


class Pairs(nn.Module):
    """Scores of pairs of rows of two tables, of which one starts at zero: word2vec's."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.contexts = nn.Embedding(8, 4), nn.Embedding(8, 4)
        nn.init.zeros_(self.contexts.weight)

    def forward(self, word: Tensor, context: Tensor) -> Tensor:
        return (self.words(word) * self.contexts(context)).sum(1)


def test_a_table_of_zeros_that_gets_a_gradient_opens_itself() -> None:
    torch.manual_seed(0)
    pairs, truth = torch.randint(0, 8, (2, 64)), torch.randint(0, 2, (64,)).float()
    checkup = fanin.check(
        Pairs(), (pairs[0], pairs[1]), truth, loss=nn.functional.binary_cross_entropy_with_logits
    )
    assert not [finding for finding in checkup.findings if finding.id == "F17"]
