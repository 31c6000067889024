"""Embeddings of a whole sample, such as a time step's, that many layers add."""

import pytest
import torch
from torch import Tensor, nn

import fanin

WIDTH, LAYERS = 64, 9


class Conditioned(nn.Module):
    """Convolutions, each of which adds a map of one embedding to its positions."""

    def __init__(self, layers: int = LAYERS) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.blocks = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(layers))
        self.maps = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(layers))
        self.norms = nn.ModuleList(nn.GroupNorm(8, WIDTH) for _ in range(layers))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        embedded = self.time(time)
        for block, given, norm in zip(self.blocks, self.maps, self.norms, strict=True):
            x = norm(block(x) + given(nn.functional.silu(embedded))[:, :, None, None])
        return x


def inputs() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, WIDTH, 8, 8), torch.randn(2, 16)


@pytest.mark.parametrize("layers", [2, LAYERS])
def test_layers_that_add_one_embedding_add_one_together(layers: int) -> None:
    plan = fanin.plan(Conditioned(layers), inputs())
    for at in range(layers):
        row = plan[f"maps.{at}.weight"]
        assert row.output == pytest.approx(1 / layers)
        assert f"one of {layers} layers that add what it reads" in row.why
        assert plan[f"blocks.{at}.weight"].output == pytest.approx(1.0)


def test_the_embeddings_gradient_is_no_larger_than_its_readers() -> None:
    """Without the rule it is sqrt(9) times as large and more: 1.7 is what silu leaves of one."""
    model = Conditioned()
    fanin.initialize(model, 0, inputs())
    seen: dict[str, float] = {}

    def watch(name: str, tensor: Tensor) -> None:
        tensor.register_hook(lambda grad: seen.__setitem__(name, float(grad.norm())))

    model.time.register_forward_hook(lambda module, given, out: watch("time", out))
    for at, given in enumerate(model.maps):
        given.register_forward_hook(lambda module, fed, out, at=at: watch(str(at), out))
    out = model(*inputs())
    (out * torch.randn_like(out)).sum().backward()
    readers = [seen[str(at)] for at in range(LAYERS)]
    assert seen["time"] < 2 * max(readers)


class Single(Conditioned):
    """Layers that each read an embedding of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.times = nn.ModuleList(nn.Linear(16, WIDTH) for _ in range(LAYERS))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        for block, own, given in zip(self.blocks, self.times, self.maps, strict=True):
            x = torch.relu(block(x) + given(torch.relu(own(time)))[:, :, None, None])
        return x


def test_an_embedding_for_one_layer_is_as_large_as_what_it_is_added_to() -> None:
    plan = fanin.plan(Single(), inputs(), unplaced="keep")
    assert plan["maps.0.weight"].output == pytest.approx(1.0)


class Pairs(nn.Module):
    """Scores of all pairs of rows: sums of two maps, neither of which has the sum's shape."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Linear(WIDTH, WIDTH)
        self.columns = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rows(x)[:, :, None]
        first, second = (torch.relu(rows + one(x[:, :4])[:, None]) for one in self.columns)
        return first + second


def test_sums_of_all_pairs_are_no_condition() -> None:
    plan = fanin.plan(Pairs(), torch.randn(2, 8, WIDTH))
    assert plan["columns.0.weight"].output == pytest.approx(1.0)
