"""Sequences: recurrent layers, dilated convolutions, state spaces."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bench.starts.data import VOCABULARY


class Recurrent(nn.Module):
    """Characters through two recurrent layers; each one's successor."""

    def __init__(self, layer: Callable[..., nn.RNNBase], width: int = 48) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, width)
        self.layers = layer(width, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layers(self.table(tokens))[0]).movedim(-1, 1)


class RowByRow(nn.Module):
    """Images of 16 rows read one after another, the last state classified."""

    def __init__(
        self, layer: Callable[..., nn.RNNBase], width: int = 48, both_ways: bool = False
    ) -> None:
        super().__init__()
        self.layers = layer(16, width, batch_first=True, bidirectional=both_ways)
        self.head = nn.Linear(width * (1 + both_ways), 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(images[:, 0])[0].mean(1))


class Dilated(nn.Module):
    """Causal convolutions of growing dilation, two in each residual block (Bai et al. 2018)."""

    def __init__(self, width: int = 32, blocks: int = 3) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, width)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, 3, dilation=2**block) for block in range(blocks) for _ in "12"
        )
        self.head = nn.Conv1d(width, VOCABULARY, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens).movedim(-1, 1)
        for block in range(0, len(self.convolutions), 2):
            branch = x
            for number in (block, block + 1):
                left = 2 * 2 ** (number // 2)
                branch = torch.relu(self.convolutions[number](F.pad(branch, (left, 0))))
            x = torch.relu(x + branch)
        return self.head(x)


class StateSpace(nn.Module):
    """Diagonal linear states as long convolutions, mixed by a gate (Gu et al. 2022, S4D-Lin)."""

    def __init__(self, width: int = 32, states: int = 8, layers: int = 2) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, width)
        self.layers = nn.ModuleList(_Diagonal(width, states) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.mixes = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(layers))
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens)
        for layer, norm, mix in zip(self.layers, self.norms, self.mixes, strict=True):
            x = x + F.glu(mix(F.gelu(layer(norm(x)))), -1)
        return self.head(x).movedim(-1, 1)


class _Diagonal(nn.Module):
    """y = k * u + d u, with k(t) = 2 Re sum_n c_n exp(t dt a_n), a_n = -1/2 + i pi n."""

    def __init__(self, width: int, states: int) -> None:
        super().__init__()
        uniform = torch.rand(width)
        self.log_step = nn.Parameter(uniform * 4.6 - 6.9)  # steps from 0.001 to 0.1
        self.log_decay = nn.Parameter(torch.log(0.5 * torch.ones(width, states)))
        self.frequency = nn.Parameter(torch.pi * torch.arange(states).float().repeat(width, 1))
        self.out = nn.Parameter(torch.randn(2, width, states))
        self.skip = nn.Parameter(torch.randn(width))

    def forward(self, u: Tensor) -> Tensor:
        length = u.shape[1]
        step = self.log_step.exp()[:, None, None]
        times = torch.arange(length, dtype=u.dtype) * step
        decay = (-self.log_decay.exp()[..., None] * times).exp()
        angle = self.frequency[..., None] * times
        wave = self.out[0, ..., None] * angle.cos() - self.out[1, ..., None] * angle.sin()
        kernel = 2 * (step * decay * wave).sum(1)
        padded = F.pad(u.movedim(1, 2), (length - 1, 0))
        made = F.conv1d(padded, kernel.flip(-1)[:, None], groups=u.shape[2])
        return made.movedim(1, 2) + self.skip * u


class CharacterConvolutions(nn.Module):
    """Convolutions of three widths over characters, the largest value of each (Kim 2014)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, width)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, width, size) for size in (3, 5, 7))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(3 * width, 10))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens).movedim(-1, 1)
        return self.head(torch.cat([torch.relu(one(x)).amax(-1) for one in self.convolutions], 1))
