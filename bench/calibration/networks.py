"""The networks of the calibration: plain and residual MLPs on images of 28 x 28."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from bench.calibration.grid import PIXELS, STARTS, Cell
from fanin import initializers

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "selu": nn.SELU,
}
NORMALIZATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "layer": nn.LayerNorm,
    "batch": nn.BatchNorm1d,
}


class Block(nn.Module):
    """x + second(activation(first(norm(x)))), the form of a transformer's MLP."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.norm = NORMALIZATIONS[cell.normalization](cell.width)
        self.first = nn.Linear(cell.width, cell.width)
        self.activation = ACTIVATIONS[cell.activation]()
        self.second = nn.Linear(cell.width, cell.width)

    def forward(self, hidden: Tensor) -> Tensor:
        """(n, width), in and out."""
        after: Tensor = hidden + self.second(self.activation(self.first(self.norm(hidden))))
        return after


def build(cell: Cell, seed: int, classes: int = 10) -> nn.Sequential:
    """The cell's network with the weights of one seed."""
    hidden = _residual(cell) if cell.residual else _plain(cell)
    model = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(cell.width, classes))
    initialize(model, cell, seed)
    return model


def _plain(cell: Cell) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for number in range(cell.depth):
        layers += [
            nn.Linear(cell.width if number else PIXELS, cell.width),
            NORMALIZATIONS[cell.normalization](cell.width),
            ACTIVATIONS[cell.activation](),
        ]
    return [layer for layer in layers if not isinstance(layer, nn.Identity)]


def _residual(cell: Cell) -> list[nn.Module]:
    """An input layer, then blocks of two layers each; `depth` counts the blocks' layers."""
    blocks = [Block(cell) for _ in range(cell.depth // 2)]
    return [nn.Linear(PIXELS, cell.width), *blocks, NORMALIZATIONS[cell.normalization](cell.width)]


def initialize(model: nn.Sequential, cell: Cell, seed: int) -> None:
    """Fill every linear layer as the cell's start says; normalizations keep weight 1 and bias 0."""
    linear = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    readout = next(reversed(linear))
    start = STARTS[cell.start]
    for name, part in linear.items():
        weight = start.weight
        if name == readout:
            weight = start.readout or weight
        elif name.endswith("second"):
            weight = start.branch_end or weight
        bias = start.bias.format(fan_in=part.in_features)
        if name == readout:
            bias = start.readout_bias or bias
        for value, spec, key in ((part.weight, weight, "weight"), (part.bias, bias, "bias")):
            drawn = initializers.get(spec)(tuple(value.shape), seed=seed, name=f"{name}.{key}")
            with torch.no_grad():
                value.copy_(torch.from_numpy(drawn))
