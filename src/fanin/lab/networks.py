"""The networks that the lab trains, on grey images of 28 x 28."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fanin.lab.activations import Activation


class SmallConvNet(nn.Module):
    """The article's network: two convolutions and a linear head."""

    def __init__(self, outputs: int = 10, activation: Activation = nn.ReLU) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=8)  # 28 x 28 -> 21 x 21
        self.conv2 = nn.Conv2d(16, 8, kernel_size=4, stride=2)  # 21 x 21 -> 9 x 9
        self.head = nn.Linear(8 * 9 * 9, outputs)
        self.activation1, self.activation2 = activation(), activation()

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 1, 28, 28) to outputs (n, outputs)."""
        hidden = self.activation1(self.conv1(images))
        hidden = self.activation2(self.conv2(hidden))
        outputs: Tensor = self.head(hidden.flatten(1))
        return outputs


def _mlp(outputs: int, activation: Activation, depth: int, width: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    before = 28 * 28
    for _ in range(depth):
        layers += [nn.Linear(before, width), activation()]
        before = width
    return nn.Sequential(*layers, nn.Linear(before, outputs))


def _shallow_mlp(outputs: int, activation: Activation, depth: int) -> nn.Module:
    return _mlp(outputs, activation, depth, width=128)


def _deep_mlp(outputs: int, activation: Activation, depth: int) -> nn.Module:
    return _mlp(outputs, activation, depth, width=64)


def _deep_cnn(outputs: int, activation: Activation, depth: int) -> nn.Module:
    """Convolutions of 3 x 3 alone, the first two with stride 2: 28 x 28 -> 7 x 7."""
    layers: list[nn.Module] = []
    before = 1
    for number in range(depth):
        layers += [nn.Conv2d(before, 16, 3, stride=2 if number < 2 else 1, padding=1), activation()]
        before = 16
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, outputs))


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity, with no normalization."""

    def __init__(self, channels: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation1, self.activation2 = activation(), activation()

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, channels, h, w), in and out."""
        branch = self.conv2(self.activation1(self.conv1(hidden)))
        after: Tensor = self.activation2(hidden + branch)
        return after


def _resnet(outputs: int, activation: Activation, depth: int) -> nn.Module:
    stem = [nn.Conv2d(1, 16, 5, stride=4, padding=2), activation()]
    blocks = [ResidualBlock(16, activation) for _ in range(depth)]
    return nn.Sequential(
        *stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, outputs)
    )


class TransformerBlock(nn.Module):
    """Attention and an MLP, each behind a LayerNorm and beside an identity."""

    def __init__(self, width: int, heads: int, activation: Activation) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.project = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), activation(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, width), in and out."""
        normed = self.norm1(tokens)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        mixed = (logits.softmax(dim=-1) @ value).transpose(1, 2).flatten(2)
        tokens = tokens + self.project(mixed)
        after: Tensor = tokens + self.mlp(self.norm2(tokens))
        return after


class SmallTransformer(nn.Module):
    """16 patches of 7 x 7 as tokens, with learned positions; their mean goes to the head."""

    def __init__(self, outputs: int, activation: Activation, depth: int, width: int = 32) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, width, kernel_size=7, stride=7)
        self.position = nn.Embedding(16, width)
        self.blocks = nn.Sequential(*(TransformerBlock(width, 4, activation) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, 1, 28, 28) to outputs (n, outputs)."""
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        tokens = tokens + self.position(torch.arange(16, device=images.device))
        outputs: Tensor = self.head(self.norm(self.blocks(tokens)).mean(dim=1))
        return outputs


class Network(NamedTuple):
    """How to make a network, and the depth it has if the user says none; None: it has one."""

    make: Callable[[int, Activation, int], nn.Module]
    depth: int | None


NETWORKS: dict[str, Network] = {
    "cnn2": Network(lambda outputs, activation, depth: SmallConvNet(outputs, activation), None),
    "mlp": Network(_shallow_mlp, 2),
    "deep_mlp": Network(_deep_mlp, 16),
    "deep_cnn": Network(_deep_cnn, 10),
    "resnet": Network(_resnet, 6),
    "transformer": Network(SmallTransformer, 2),
}
