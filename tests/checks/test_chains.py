"""Chains in every way that they are written: thirty layers that are too small, or too large."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin
from fanin.checks._streams import streams
from fanin.frameworks.torch import trace
from fanin.graph import Structure

DEPTH, WIDTH, BATCH = 30, 32, 32
Step = Callable[[list[nn.Linear], Tensor], Tensor]
RING = torch.eye(4) + torch.eye(4).roll(1, 0)


class Net(nn.Module):
    """`count` layers for every step, He's weights times a factor."""

    def __init__(self, step: Step, factor: float, count: int, fan_in: int, fan_out: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.step = step
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.Linear(fan_in, fan_out) for _ in range(count)) for _ in range(DEPTH)
        )
        for line in self.layers.modules():
            if isinstance(line, nn.Linear):
                nn.init.normal_(line.weight, std=factor * (2 / fan_in) ** 0.5)
                nn.init.zeros_(line.bias)
        self.head = nn.LazyLinear(10)

    def forward(self, x: Tensor) -> Tensor:
        for lines in self.layers:
            x = self.step(list(lines), x)
        return self.head(x.flatten(1))


def _constant(lines: list[nn.Linear], x: Tensor) -> Tensor:
    return F.relu(lines[0](x)) * torch.linspace(0.9, 1.1, WIDTH)


def _einsum(lines: list[nn.Linear], x: Tensor) -> Tensor:
    return F.relu(torch.einsum("bi,oi->bo", x, lines[0].weight))


def _where(lines: list[nn.Linear], x: Tensor) -> Tensor:
    h = lines[0](x)
    return torch.where(h > 0, h, torch.zeros_like(h))


def _stacked(lines: list[nn.Linear], x: Tensor) -> Tensor:
    return F.relu(torch.cat([line(x) for line in lines], -1))


def _halves(lines: list[nn.Linear], x: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([F.relu(lines[0](second)), F.relu(lines[1](first))], -1)


def _positions(lines: list[nn.Linear], x: Tensor) -> Tensor:
    return torch.stack([F.relu(lines[0](x[:, at])) for at in range(x.shape[1])], 1)


def _edges(lines: list[nn.Linear], x: Tensor) -> Tensor:
    return F.relu(lines[0](torch.cat([x[..., -1:], x, x[..., :1]], -1)))


def _neighbours(lines: list[nn.Linear], x: Tensor) -> Tensor:
    return F.relu(torch.einsum("nm,bmd->bnd", RING / 2, lines[0](x)))


def _mean_of_several(lines: list[nn.Linear], x: Tensor) -> Tensor:
    return F.relu(2 * torch.stack([line(x) for line in lines]).mean(0))


def _maxout(lines: list[nn.Linear], x: Tensor) -> Tensor:
    return lines[0](x).view(*x.shape, 2).amax(-1) * 0.7


def _average_pool(lines: list[nn.Linear], x: Tensor) -> Tensor:
    return F.avg_pool1d(F.relu(lines[0](x)), 3, 1, 1) * 1.1


VECTOR, SEQUENCE = (BATCH, WIDTH), (BATCH, 4, WIDTH)
FORMS: dict[Step, tuple[tuple[int, ...], int, int, int]] = {
    _constant: (VECTOR, 1, WIDTH, WIDTH),
    _einsum: (VECTOR, 1, WIDTH, WIDTH),
    _where: (VECTOR, 1, WIDTH, WIDTH),
    _stacked: (VECTOR, 2, WIDTH, WIDTH // 2),
    _halves: (VECTOR, 2, WIDTH // 2, WIDTH // 2),
    _positions: (SEQUENCE, 1, WIDTH, WIDTH),
    _edges: (VECTOR, 1, WIDTH + 2, WIDTH),
    _neighbours: (SEQUENCE, 1, WIDTH, WIDTH),
    _mean_of_several: (VECTOR, 4, WIDTH, WIDTH),
    _maxout: (VECTOR, 1, WIDTH, 2 * WIDTH),
    _average_pool: (SEQUENCE, 1, WIDTH, WIDTH),
}


@pytest.mark.parametrize("step", FORMS)
def test_thirty_layers_that_are_off(step: Step) -> None:
    shape, *sizes = FORMS[step]
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    for factor in (0.3, 4.0):
        model: Any = Net(step, factor, *sizes)
        model(inputs)
        checkup = fanin.check(model, inputs, select="F02,F03")
        forward, backward = (
            [one for one in checkup.findings if one.id == rule] for rule in ("F02", "F03")
        )
        assert [one.severity for one in (*forward, *backward)] == ["error", "error"], step
        number = int(forward[0].layer.split(".")[1])  # beyond 1e4 is the first of a few layers
        assert 3 < number < 15
        assert backward[0].layer.startswith("layers.0.")
        named = [one for one in checkup.layers if one.name.startswith(forward[0].layer)]
        first, there = checkup.layers[0].rms, named[0].rms
        assert first is not None
        assert there is not None
        assert max(there / first, first / there) > 1e4


@pytest.mark.parametrize("step", [_constant, _einsum, _where, _stacked, _positions])
def test_thirty_layers_of_hes_size_are_sound(step: Step) -> None:
    shape, *sizes = FORMS[step]
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    model: Any = Net(step, 1.0, *sizes)
    model(inputs)
    assert fanin.check(model, inputs, select="F02,F03").ok("warning")


class Product(nn.Module):
    """A layer whose weight is a product of two."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.u = nn.Parameter(torch.randn(WIDTH, 8) * std)
        self.v = nn.Parameter(torch.randn(8, WIDTH) * 8**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.u @ self.v)


class Circulant(nn.Module):
    """A layer whose weight a Fourier transform makes."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH) * std)

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(self.weight), n=WIDTH)


@pytest.mark.parametrize("layer", [Product, Circulant])
@pytest.mark.parametrize(("gain", "explodes"), [(2**0.5, False), (12.0, True)])
def test_weights_that_are_made_of_others(layer: Any, gain: float, explodes: bool) -> None:
    """Without targets, too: six of them make 10^5 of 1."""
    torch.manual_seed(0)
    hidden = [part for _ in range(6) for part in (layer(gain * WIDTH**-0.5), nn.ReLU())]
    model = nn.Sequential(*hidden, nn.Linear(WIDTH, 3))
    found = fanin.check(model, torch.randn(BATCH, WIDTH), select="F02").findings
    assert [one.severity for one in found if one.severity != "note"] == ["error"] * explodes


def test_one_average_before_a_readout_is_built_in() -> None:
    """Of 400 positions, which takes the signal down twentyfold."""
    torch.manual_seed(0)
    conv = nn.Conv1d(8, 64, 3, padding=1)
    model = nn.Sequential(conv, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 64))
    model.append(nn.Sequential(nn.Tanh(), nn.Linear(64, 4)))
    with torch.no_grad():
        model[3].weight.mul_(0.2)
    assert fanin.check(model, torch.randn(16, 8, 400), select="F02,F03").ok("warning")


def test_a_stream_inside_of_a_branch_does_not_begin_on_the_stream_outside() -> None:
    """The gradient there passes the branch by, and says nothing of what is inside."""
    first, last = _streams_of(lambda x, a, b, c: x + c((y := x + a(x)) + b(y)))
    assert len(first) == 2  # the start and the sum of the outer one
    assert len(last) == 2  # x + a(x), which is inside, and the addition of b to it


def _streams_of(forward: Callable[..., Tensor]) -> list[list[int]]:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Linear(8, 8)
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            return forward(self.stem(x), *self.layers)

    graph = trace(Nested(), torch.zeros(2, 8))
    return streams(graph.nodes, Structure(graph))


class _Fork(nn.Module):
    """Two arms that read one layer; of the second, `share` reaches the output."""

    def __init__(self, factor: float, share: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.share = share
        self.first, self.head = nn.Linear(32, 32), nn.Linear(32, 10)
        self.arms = nn.ModuleList(
            nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 32)) for _ in range(2)
        )
        for line in self.modules():
            if isinstance(line, nn.Linear):
                nn.init.normal_(line.weight, std=(2 / line.in_features) ** 0.5)
                nn.init.zeros_(line.bias)
        with torch.no_grad():
            for arm in self.arms.modules():
                if isinstance(arm, nn.Linear):
                    arm.weight.mul_(factor)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        a, b = (arm(h) for arm in self.arms)
        return self.head(a + self.share * b)


def test_the_gradients_of_all_who_read_a_layer_are_no_growth_on_the_way_of_one() -> None:
    """As of an embedding of time that each block of a U-Net reads, the inner ones with less to say.
    What grows on a way is still told."""
    inputs = torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    for factor, share, found in ((1.0, 0.02, 0), (12.0, 0.02, 1), (12.0, 1.0, 1)):
        checkup = fanin.check(_Fork(factor, share), inputs, select="F03")
        assert len([one for one in checkup.findings if one.severity != "note"]) == found
