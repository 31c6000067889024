"""Healthy networks: not a warning for what is known to train."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin

Batch = tuple[Tensor, Tensor]
Build = Callable[..., nn.Sequential]


def lecun(weight: Tensor) -> Tensor:
    return nn.init.kaiming_normal_(weight, nonlinearity="linear")


@pytest.mark.parametrize(
    ("depth", "activation", "rule"),
    [
        (30, nn.ReLU, nn.init.kaiming_normal_),
        (5, nn.Tanh, nn.init.xavier_normal_),
        (20, nn.SELU, lecun),
        (6, nn.GELU, lambda w: nn.init.normal_(w, std=1.53 / w.shape[1] ** 0.5)),
        (10, nn.ReLU, nn.init.orthogonal_),
    ],
)
def test_chains_at_the_right_scale(
    network: Build, batch: Batch, depth: int, activation: Any, rule: Any
) -> None:
    if rule is nn.init.orthogonal_:
        model = network(depth, 256, activation, lambda w: nn.init.orthogonal_(w, gain=2**0.5))
    else:
        model = network(depth, 256, activation, rule)
    checkup = fanin.check(model, *batch)
    assert checkup.ok("warning"), checkup


def test_a_single_layer_of_zeros(batch: Batch) -> None:
    model = nn.Linear(64, 10)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    checkup = fanin.check(model, *batch)
    assert checkup.ok("note"), checkup
    assert len(checkup.layers) == 1


class Block(nn.Module):
    """A branch without normalization, its last weight zero: Fixup."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)
        nn.init.kaiming_normal_(self.a.weight)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.b(torch.relu(self.a(x)))
        return made


def test_branches_that_end_in_zeros(batch: Batch) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), *[Block() for _ in range(8)], nn.Linear(64, 10))
    nn.init.zeros_(model[-1].weight)
    checkup = fanin.check(model, *batch)
    assert checkup.ok("warning"), checkup
    assert any("9.weight, which is zero and moves first" in note for note in checkup.notes)


class Adapted(nn.Module):
    """A frozen layer with a low-rank update that starts at zero."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.a = nn.Linear(layer.in_features, 4, bias=False)
        self.b = nn.Linear(4, layer.out_features, bias=False)
        nn.init.zeros_(self.b.weight)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layer(x) + self.b(self.a(x))
        return made


def test_low_rank_updates(network: Build, batch: Batch) -> None:
    model = network(3, 64, nn.ReLU, nn.init.kaiming_normal_)
    for at in (0, 2, 4):
        model[at] = Adapted(model[at])
    checkup = fanin.check(model, *batch)
    assert checkup.ok("warning"), checkup
    assert not model[0].layer.weight.requires_grad


class Recurrent(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.table = nn.Embedding(100, 32)
        self.cells = kind(32, 64, num_layers=2, batch_first=True)
        self.head = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.head(self.cells(self.table(x))[0][:, -1])
        return made


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_recurrent_classifiers(kind: Any) -> None:
    torch.manual_seed(0)
    x, y = torch.randint(0, 100, (32, 12)), torch.randint(0, 5, (32,))
    checkup = fanin.check(Recurrent(kind), x, y)
    assert checkup.ok("warning"), checkup
    kinds = [one.kind for one in checkup.layers]
    assert kinds == ["embedding", *[kind.__name__.lower()] * 4, "linear"]
    assert all(one.rms and one.gradient for one in checkup.layers)


def test_a_text_model_of_a_table_and_a_readout() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.EmbeddingBag(100, 32), nn.Linear(32, 5))
    checkup = fanin.check(model, torch.randint(0, 100, (32, 12)), torch.randint(0, 5, (32,)))
    assert checkup.ok("warning"), checkup


def test_a_pre_norm_transformer_after_initialize() -> None:
    layer = nn.TransformerEncoderLayer(64, 4, 128, norm_first=True, batch_first=True)
    model = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
    x = torch.randn(8, 10, 64, generator=torch.Generator().manual_seed(0))
    assert not fanin.check(model, x).ok("warning")  # torch copies one layer: F09
    fanin.initialize(model, seed=0, inputs=x)
    checkup = fanin.check(model, x)
    assert checkup.ok("warning"), checkup


class Bottleneck(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.b = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
        self.squeeze, self.excite = nn.Linear(width, 8), nn.Linear(8, width)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.relu(self.norms[0](self.a(x)), inplace=True)
        inner = self.norms[1](self.b(inner))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(inner.mean((2, 3))))))
        return F.relu(x + inner * gate[:, :, None, None])


@pytest.mark.parametrize("zero_scale", [False, True])
def test_a_residual_network_with_batch_normalization(zero_scale: bool) -> None:
    torch.manual_seed(0)
    blocks = [Bottleneck(16) for _ in range(6)]
    if zero_scale:
        for block in blocks:
            nn.init.zeros_(block.norms[1].weight)  # then gradients of the gate are 0, too
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
    model = nn.Sequential(stem, *blocks, pool, nn.Linear(16, 10))
    x = torch.randn(16, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    checkup = fanin.check(model, x, torch.arange(16) % 10)
    assert checkup.ok("warning"), checkup
    assert checkup.layers[0].kind == "conv2d"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types_of_numbers(network: Build, batch: Batch, dtype: torch.dtype) -> None:
    model = network(4, 128, nn.ReLU, nn.init.kaiming_normal_).to(dtype)
    checkup = fanin.check(model, batch[0].to(dtype), batch[1])
    assert checkup.ok("warning"), checkup
    assert checkup.conditions.dtype == str(dtype).removeprefix("torch.")
    assert [one.initializer for one in checkup.layers[:3]] == ["he_normal"] * 3


def test_a_network_that_differentiates_itself() -> None:
    """As physics-informed ones do: of its derivative the last bias is no part."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            sizes = (2, 32, 32, 32, 1)
            lines = [nn.Linear(*pair) for pair in pairwise(sizes)]
            parts = [part for line in lines for part in (line, nn.Tanh())]
            self.net = nn.Sequential(*parts[:-1])
            for line in lines:
                nn.init.xavier_normal_(line.weight)
                nn.init.zeros_(line.bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.detach().requires_grad_(True)
            u = self.net(x).sum()
            (first,) = torch.autograd.grad(u, x, create_graph=True)
            (second,) = torch.autograd.grad(first[:, 0].sum(), x, create_graph=True)
            return first[:, 1] - 0.1 * second[:, 0]

    x = 2 * torch.rand(128, 2, generator=torch.Generator().manual_seed(0)) - 1
    checkup = fanin.check(Residual(), x, None, lambda residual: residual.square().mean())
    assert checkup.ok("warning"), checkup
    assert any("takes a derivative" in note for note in checkup.notes)


def test_a_recurrent_loop_by_hand() -> None:
    """Gradients fade over 40 steps, which is a note; one weight is one draw, however often used."""

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner, self.outer = nn.Linear(4, 48), nn.Linear(48, 48, bias=False)
            self.head = nn.Linear(48, 2)
            nn.init.orthogonal_(self.outer.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = torch.zeros(len(x), 48)
            for step in range(x.shape[1]):
                state = torch.tanh(self.inner(x[:, step]) + self.outer(state))
            return self.head(state)

    x = torch.randn(64, 40, 4, generator=torch.Generator().manual_seed(0))
    model = Loop()
    assert fanin.check(model, x, torch.arange(64) % 2).ok("warning")
    with torch.no_grad():
        model.outer.weight.normal_()
    (found,) = (f for f in fanin.check(model, x, torch.arange(64) % 2).findings if f.id == "F05")
    assert found.severity == "error"
