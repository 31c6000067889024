"""The networks that the lab trains, on images, tables or token ids of any size."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fanin.lab.data.form import MNIST, DataForm
from fanin.lab.data.inputs import InputKind
from fanin.lab.networks.activations import ActivationModule

PATCHES = 4  # on a side of an image, for the transformer


class SmallConvNet(nn.Module):
    """The network of Enrichment Cap (2023): two convolutions and a linear head.

    Kernels of 8 and of 4 with stride 2, as on 28 x 28; smaller where the image would not hold them.
    """

    def __init__(self, form: DataForm = MNIST, activation: ActivationModule = nn.ReLU) -> None:
        super().__init__()
        channels, *sides = form.shape
        first = [min(8, (side + 1) // 2) for side in sides]
        sides = [side - size + 1 for side, size in zip(sides, first, strict=True)]  # 28 -> 21
        second = [min(4, side) for side in sides]
        sides = [(side - size) // 2 + 1 for side, size in zip(sides, second, strict=True)]  # -> 9
        self.conv1 = nn.Conv2d(channels, 16, kernel_size=(first[0], first[1]))
        self.conv2 = nn.Conv2d(16, 8, kernel_size=(second[0], second[1]), stride=2)
        self.head = nn.Linear(8 * math.prod(sides), form.outputs)
        self.activation1, self.activation2 = activation(), activation()

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, h, w) to outputs (n, outputs)."""
        hidden = self.activation1(self.conv1(images))
        hidden = self.activation2(self.conv2(hidden))
        outputs: Tensor = self.head(hidden.flatten(1))
        return outputs


class MeanEmbedding(nn.Embedding):
    """The mean of the tokens' vectors: (n, length) to (n, width)."""

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids (n, length) to (n, width)."""
        return super().forward(ids).mean(dim=1)


def _mlp(form: DataForm, activation: ActivationModule, depth: int, width: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    before = math.prod(form.shape)
    if form.kind == "tokens":
        layers, before = [MeanEmbedding(form.tokens, width)], width
    for _ in range(depth):
        layers += [nn.Linear(before, width), activation()]
        before = width
    return nn.Sequential(*layers, nn.Linear(before, form.outputs))


def _shallow_mlp(form: DataForm, activation: ActivationModule, depth: int) -> nn.Module:
    return _mlp(form, activation, depth, width=128)


def _deep_mlp(form: DataForm, activation: ActivationModule, depth: int) -> nn.Module:
    return _mlp(form, activation, depth, width=64)


def _deep_cnn(form: DataForm, activation: ActivationModule, depth: int) -> nn.Module:
    """Convolutions of 3 x 3 alone, the first two with stride 2: 28 x 28 -> 7 x 7."""
    layers: list[nn.Module] = []
    before = form.shape[0]
    for number in range(depth):
        layers += [nn.Conv2d(before, 16, 3, stride=2 if number < 2 else 1, padding=1), activation()]
        before = 16
    head = nn.Linear(256, form.outputs)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), head)


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity, with no normalization."""

    def __init__(self, channels: int, activation: ActivationModule) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation1, self.activation2 = activation(), activation()

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, channels, h, w), in and out."""
        branch = self.conv2(self.activation1(self.conv1(hidden)))
        after: Tensor = self.activation2(hidden + branch)
        return after


def _resnet(form: DataForm, activation: ActivationModule, depth: int) -> nn.Module:
    stem = [nn.Conv2d(form.shape[0], 16, 5, stride=4, padding=2), activation()]
    blocks = [ResidualBlock(16, activation) for _ in range(depth)]
    return nn.Sequential(
        *stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, form.outputs)
    )


class TransformerBlock(nn.Module):
    """Attention and an MLP, each behind a LayerNorm and beside an identity."""

    def __init__(self, width: int, heads: int, activation: ActivationModule) -> None:
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
    """Token ids, or 4 x 4 patches of an image as tokens, with learned positions.

    The mean of all tokens goes to the head.
    """

    def __init__(
        self, form: DataForm, activation: ActivationModule, depth: int, width: int = 32
    ) -> None:
        super().__init__()
        self.embed: nn.Module
        if form.kind == "tokens":
            self.embed, self.count = nn.Embedding(form.tokens, width), form.shape[0]
        else:
            height, wide = (max(1, side // PATCHES) for side in form.shape[1:])
            self.embed = nn.Conv2d(form.shape[0], width, (height, wide), stride=(height, wide))
            self.count = (form.shape[1] // height) * (form.shape[2] // wide)
        self.position = nn.Embedding(self.count, width)
        self.blocks = nn.Sequential(*(TransformerBlock(width, 4, activation) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, form.outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """Images (n, channels, h, w) or token ids (n, length) to outputs (n, outputs)."""
        tokens = self.embed(inputs)
        if tokens.ndim == 4:
            tokens = tokens.flatten(2).transpose(1, 2)
        tokens = tokens + self.position(torch.arange(self.count, device=inputs.device))
        outputs: Tensor = self.head(self.norm(self.blocks(tokens)).mean(dim=1))
        return outputs


class Network(NamedTuple):
    """How to make a network, what it reads, and its usual depth; None where it has one alone."""

    make: Callable[[DataForm, ActivationModule, int], nn.Module]
    kinds: tuple[InputKind, ...]
    depth: int | None


NETWORKS: dict[str, Network] = {
    "cnn2": Network(lambda form, activation, _: SmallConvNet(form, activation), ("images",), None),
    "mlp": Network(_shallow_mlp, ("images", "table", "tokens"), 2),
    "deep_mlp": Network(_deep_mlp, ("images", "table", "tokens"), 16),
    "deep_cnn": Network(_deep_cnn, ("images",), 10),
    "resnet": Network(_resnet, ("images",), 6),
    "transformer": Network(SmallTransformer, ("images", "tokens"), 2),
}
