"""Structure: residual streams, attention logits and heads of models that torch runs."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from fanin.frameworks.torch import trace
from fanin.graph import Structure, logits_of


class Block(nn.Module):
    """A branch beside a stream: pre-norm, post-norm, or without a norm."""

    def __init__(self, width: int, norm: str = "pre") -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.where = norm

    def forward(self, x: Tensor) -> Tensor:
        branch = self.down(torch.relu(self.up(self.norm(x) if self.where == "pre" else x)))
        return self.norm(x + branch) if self.where == "post" else x + branch


class Shortcut(nn.Module):
    """A stage's first block: the stream comes through a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(8, 16), nn.Linear(16, 16)
        self.short = nn.Linear(8, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.short(x) + self.two(torch.relu(self.one(x)))


def of(model: nn.Module, *inputs: Tensor) -> Structure:
    return Structure(trace(model, inputs))


def names(structure: Structure, nodes: list[int]) -> list[str]:
    uses = [structure.graph.nodes[node].param for node in nodes]
    return [use.name for use in uses if use]


@pytest.mark.parametrize("norm", ["pre", "post", "none"])
def test_branches_of_a_stream_are_counted(norm: str) -> None:
    model = nn.Sequential(nn.Linear(4, 8), *[Block(8, norm) for _ in range(5)], nn.Linear(8, 3))
    structure = of(model, torch.randn(2, 4))
    assert [chain.length for chain in structure.chains.values()] == [5] * 5
    ends = [structure.ends(residual) for residual in structure.residuals.values()]
    assert [names(structure, one) for one in ends] == [[f"{i}.down.weight"] for i in range(1, 6)]


def test_a_shortcut_begins_a_chain() -> None:
    model = nn.Sequential(Block(8), Block(8), Shortcut(), Block(16), Block(16), Block(16))
    structure = of(model, torch.randn(2, 8))
    assert [chain.length for chain in structure.chains.values()] == [2, 2, 4, 4, 4, 4]
    first = [residual for residual in structure.residuals.values() if residual.shortcut]
    assert [names(structure, structure.ends(one)) for one in first] == [["2.two.weight"]]


def test_a_branch_ends_in_its_norms_or_layers_scale() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)
            self.gamma = nn.Parameter(torch.full((8,), 1e-6))

        def forward(self, x: Tensor) -> Tensor:
            x = x + self.norm(self.line(x))
            return x + self.gamma * torch.tanh(self.line(x))

    structure = of(Scaled(), torch.randn(2, 8))
    ends = [structure.ends(one) for one in structure.residuals.values()]
    assert [names(structure, one) for one in ends] == [["norm.weight"], ["gamma"]]


def test_sums_that_are_no_residuals() -> None:
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            x = x * torch.cos(torch.arange(8.0)) + x.flip(-1) * torch.sin(torch.arange(8.0))
            return self.a(x) + self.b(x)  # neither is a stream

    assert of(Sums(), torch.randn(2, 8)).residuals == {}


class Attention(nn.Module):
    def __init__(self, width: int, fused: bool, divide: bool = True) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.fused, self.divide = fused, divide

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            one(x).unflatten(-1, (2, -1)).transpose(1, 2) for one in (self.q, self.k, self.v)
        )
        if self.fused:
            out = F.scaled_dot_product_attention(q, k, v)
        else:
            logits = q @ k.transpose(-1, -2)
            logits = logits / math.sqrt(q.shape[-1]) if self.divide else logits
            logits = logits + torch.full((5, 5), -math.inf).triu(1)
            out = torch.softmax(logits, -1) @ v
        return x + self.o(out.transpose(1, 2).flatten(-2))


@pytest.mark.parametrize(("fused", "divide"), [(True, True), (False, True), (False, False)])
def test_attention_logits_and_values(fused: bool, divide: bool) -> None:
    structure = of(Attention(32, fused, divide), torch.randn(2, 5, 32))
    (logits,) = logits_of(structure)
    assert logits.terms == 16
    assert logits.factor == pytest.approx(0.25 if divide else 1.0)
    assert names(structure, [logits.query, logits.key]) == ["q.weight", "k.weight"]
    (residual,) = structure.residuals.values()
    assert names(structure, structure.ends(residual)) == ["o.weight"]


def test_heads_are_weights_with_nothing_behind() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3), nn.LogSoftmax(-1))
    structure = of(model, torch.randn(2, 8))
    assert names(structure, list(structure.heads)) == ["2.weight"]
    assert of(nn.Sequential(Block(8), nn.LayerNorm(8)), torch.randn(2, 8)).heads == set()


@pytest.mark.parametrize("pool", [nn.AvgPool1d(2), nn.MaxPool1d(2)])
def test_a_shortcut_may_be_pooled(pool: nn.Module) -> None:
    """As in blocks that halve the resolution of a stream and keep its width."""

    class Halving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = pool
            self.one, self.two = nn.Conv1d(8, 8, 2, stride=2), nn.Conv1d(8, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            short: Tensor = self.pool(x)
            return short + self.two(torch.relu(self.one(x)))

    structure = of(nn.Sequential(nn.Conv1d(4, 8, 1), Halving(), Halving()), torch.randn(2, 4, 16))
    assert [chain.length for chain in structure.chains.values()] == [2, 2]
    ends = [structure.ends(residual) for residual in structure.residuals.values()]
    assert [names(structure, one) for one in ends] == [["1.two.weight"], ["2.two.weight"]]


class Scaled(nn.Module):
    """x * s + pool(norm(x)): a branch without weights beside a scaled stream."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.scale = nn.GroupNorm(1, 8), nn.Parameter(torch.ones(8, 1, 1))
        self.out = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        x = x * self.scale + (nn.functional.avg_pool2d(h, 3, 1, 1) - h)
        return x + self.out(nn.functional.layer_norm(x, x.shape[1:]))


def test_branches_beside_a_scaled_stream_are_of_one_stream() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2), Scaled(), Scaled())
    structure = Structure(trace(model, torch.zeros(2, 3, 9, 9)))
    assert [one.length for one in structure.chains.values()] == [4] * 4


def test_behind_a_norm_a_stream_begins_anew_in_size() -> None:
    class Post(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.out = nn.LayerNorm(8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.norm(x + self.out(x))
            return y

    graph = trace(nn.Sequential(nn.Linear(3, 8), Post(), Post()), torch.zeros(2, 3))
    first, second = Structure(graph).chains.values()
    assert (first.length, second.length) == (2, 2)
    assert graph.nodes[first.start].module == "0"
    assert graph.nodes[second.start].module == "1.norm"


class Steps(nn.Module):
    """Layers x + t (f - x) whose t is no share: every sum has the stream in it twice."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(depth))
        self.gates = nn.ModuleList(nn.Linear(4, 4) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for layer, gate in zip(self.layers, self.gates, strict=True):
            x = x + gate(x) * (layer(x) - x)
        return x


def test_every_node_is_met_once_on_the_way_to_the_ends() -> None:
    """There are 2**60 ways through 60 sums in which the stream is twice."""
    structure = of(Steps(60), torch.randn(2, 4))
    last = structure.graph.outputs[0]
    ends = structure.ends_at(last)
    assert len(ends) == len(set(ends)) == 60
    assert all(structure.terms(residual) for residual in structure.residuals.values())


class Tokens(nn.Module):
    """Blocks over rows, then over rows and a token beside them, as of space and time."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(2, 1, 8))
        self.rows = nn.ModuleList(Block(8) for _ in range(layers))
        self.all = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8)) for _ in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token, x], 1)
        for rows, both in zip(self.rows, self.all, strict=True):
            token, x = x[:, :1], rows(x[:, 1:])
            branch = both(torch.cat([token, x], 1))
            x = torch.cat([token, x], 1) + torch.cat([branch[:, :1], branch[:, 1:]], 1)
        return x


def test_a_stream_goes_on_beside_tokens() -> None:
    structure = of(Tokens(3), torch.randn(2, 6, 8))
    ends = [names(structure, structure.ends(item)) for item in structure.residuals.values()]
    assert ends[:3] == [["rows.0.down.weight"], ["all.0.1.weight"], ["rows.1.down.weight"]]
    assert {chain.length for chain in structure.chains.values()} == {6}
