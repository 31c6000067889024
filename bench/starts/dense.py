"""Multilayer perceptrons: deep and wide, with eight activations, and for tables."""

import torch
from torch import Tensor, nn


def stack(
    activation: type[nn.Module],
    inputs: int,
    width: int,
    depth: int,
    outputs: int = 10,
    norm: type[nn.Module] = nn.Identity,
) -> nn.Module:
    """`depth` hidden layers of one width, nothing beside the activation where no norm is asked."""
    layers: list[nn.Module] = [nn.Flatten()]
    for fan_in in [inputs] + [width] * (depth - 1):
        layers += [nn.Linear(fan_in, width), norm(width), activation()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


class ColumnTokens(nn.Module):
    """Each column a token with weights of its own, a layer of attention, a token that answers."""

    def __init__(self, columns: int, width: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(columns, width) / width**0.5)
        self.bias = nn.Parameter(torch.randn(columns, width) / width**0.5)
        self.answer = nn.Parameter(torch.randn(1, 1, width) / width**0.5)
        self.layers = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True
            ),
            2,
            enable_nested_tensor=False,
        )
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x[..., None] * self.weight + self.bias
        tokens = torch.cat([self.answer.expand(len(x), -1, -1), tokens], 1)
        return self.head(self.layers(tokens)[:, 0])
