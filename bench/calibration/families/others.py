"""Networks on graphs, autoencoders, models of text and of numbers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bench.calibration.families.grid import Cell
from bench.calibration.families.images import CLASSES, RECURRENT
from bench.calibration.families.layers import ACTIVATIONS, OF_IMAGES, OF_ROWS, Transformer
from bench.starts.data import VOCABULARY

PIXELS = 64
LENGTH = 32  # characters
CODE = 8
DILATIONS = 1, 2, 4, 8


class GraphLayer(nn.Module):
    """One round of messages: Kipf & Welling 2017, Hamilton et al. 2017, Xu et al. 2019, or
    Velickovic et al. 2018 with one head."""

    def __init__(self, form: str, before: int, width: int, activation: str) -> None:
        super().__init__()
        self.form = form
        self.linear = nn.Linear(before, width)
        if form == "sage":
            self.itself = nn.Linear(before, width, bias=False)
        if form == "gin":
            self.then = nn.Sequential(ACTIVATIONS[activation](), nn.Linear(width, width))
        if form == "gat":
            self.scores = nn.Linear(width, 2, bias=False)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """(nodes, features) and (nodes, nodes), 1 where there is an edge; loops included."""
        if self.form == "gcn":
            degree = edges.sum(1) ** -0.5
            return (degree[:, None] * edges * degree) @ self.linear(x)
        if self.form == "sage":
            return self.itself(x) + (edges / edges.sum(1, keepdim=True)) @ self.linear(x)
        if self.form == "gin":
            return self.then(self.linear(edges @ x))
        told = self.linear(x)
        here, there = self.scores(told).unbind(-1)
        scores = F.leaky_relu(here[:, None] + there, 0.2)
        return scores.masked_fill(edges == 0, -torch.inf).softmax(-1) @ told


class Graph(nn.Module):
    """Rounds of messages, then the class of every node."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        sizes = [PIXELS] + [cell.width] * (cell.depth - 1)
        self.layers = nn.ModuleList(
            GraphLayer(cell.form, size, cell.width, cell.activation) for size in sizes
        )
        self.norms = nn.ModuleList(OF_ROWS[cell.normalization](cell.width) for _ in sizes)
        self.activation = ACTIVATIONS[cell.activation]()
        self.head = nn.Linear(cell.width, CLASSES)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.activation(norm(layer(x, edges)))
        return self.head(x)


def graph(cell: Cell) -> nn.Module:
    return Graph(cell)


def autoencoder(cell: Cell) -> nn.Module:
    """Digits to eight numbers and back; `depth` layers on each side, and those in the middle."""
    act, width = ACTIVATIONS[cell.activation], cell.width
    hidden: list[nn.Module] = []
    if cell.form == "dense":
        norm = OF_ROWS[cell.normalization]
        for first, last in ((PIXELS, CODE), (CODE, PIXELS)):
            for before in [first] + [width] * (cell.depth - 1):
                hidden += [nn.Linear(before, width), norm(width), act()]
            hidden.append(nn.Linear(width, last))
        layers = [nn.Flatten(), *hidden, nn.Unflatten(1, (1, 8, 8))]
    else:
        norm = OF_IMAGES[cell.normalization]
        for number, before in enumerate([1] + [width] * (cell.depth - 1)):
            stride = 2 if number == 0 else 1
            hidden += [nn.Conv2d(before, width, 3, stride, 1), norm(width), act()]
        hidden += [nn.Conv2d(width, CODE // 4, 3, 2, 1), nn.ConvTranspose2d(CODE // 4, width, 2, 2)]
        for _ in range(cell.depth - 1):
            hidden += [norm(width), act(), nn.Conv2d(width, width, 3, 1, 1)]
        layers = [*hidden, norm(width), act(), nn.ConvTranspose2d(width, 1, 2, 2)]
    return nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.Identity)))


class Characters(nn.Module):
    """Recurrent layers; the successor of every character."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, cell.width)
        self.layers = RECURRENT[cell.form](cell.width, cell.width, cell.depth, batch_first=True)
        self.norm = OF_ROWS[cell.normalization](cell.width)
        self.head = nn.Linear(cell.width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, LENGTH) to (n, VOCABULARY, LENGTH)."""
        return self.head(self.norm(self.layers(self.table(tokens))[0])).movedim(-1, 1)


class Convolved(nn.Module):
    """Causal convolutions of three places, dilations 1, 2, 4, 8, around them a residual stream."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, cell.width)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(cell.width, cell.width, 3, dilation=DILATIONS[number % 4])
            for number in range(cell.depth)
        )
        self.norms = nn.ModuleList(
            OF_ROWS[cell.normalization](cell.width) for _ in range(cell.depth)
        )
        self.activation = ACTIVATIONS[cell.activation]()
        self.head = nn.Linear(cell.width, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, LENGTH) to (n, VOCABULARY, LENGTH)."""
        x = self.table(tokens)
        for number, (convolution, norm) in enumerate(
            zip(self.convolutions, self.norms, strict=True)
        ):
            before = F.pad(norm(x).movedim(1, 2), (2 * DILATIONS[number % 4], 0))
            x = x + self.activation(convolution(before)).movedim(1, 2)
        return self.head(x).movedim(-1, 1)


def language(cell: Cell) -> nn.Module:
    """The next of 64 characters."""
    if cell.form == "tcn":
        return Convolved(cell)
    if cell.form in RECURRENT:
        return Characters(cell)
    embed, norm = nn.Embedding(VOCABULARY, cell.width), OF_ROWS[cell.normalization]
    shape = cell.width, cell.depth, cell.activation
    return Transformer(embed, LENGTH, *shape, norm, "pre", VOCABULARY, causal=True)


def regression(cell: Cell) -> nn.Module:
    """An MLP from ten columns to a number, or from half a digit to the other half."""
    inputs, outputs = (PIXELS // 2, PIXELS // 2) if cell.form == "image" else (10, 1)
    layers: list[nn.Module] = []
    for before in [inputs] + [cell.width] * (cell.depth - 1):
        layers += [
            nn.Linear(before, cell.width),
            OF_ROWS[cell.normalization](cell.width),
            ACTIVATIONS[cell.activation](),
        ]
    layers = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    return nn.Sequential(*layers, nn.Linear(cell.width, outputs))
