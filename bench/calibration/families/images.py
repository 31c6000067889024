"""Networks on images: convolutions, transformers and mixers on their rows, recurrent ones."""

from torch import Tensor, nn

from bench.calibration.families.grid import Cell
from bench.calibration.families.layers import ACTIVATIONS, OF_IMAGES, OF_ROWS, Transformer

SIDE = 16
CLASSES = 10
EXPANSION = 2  # of mobile blocks


class Branch(nn.Module):
    """x + branch(x)."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def cnn(cell: Cell) -> nn.Module:
    """`depth` convolutions of 3 x 3, the first of stride 2; residual blocks have two of them."""

    def conv(before: int, after: int, size: int = 3, **options: int) -> nn.Module:
        return nn.Conv2d(before, after, size, padding=size // 2, **options)

    def norm(channels: int = cell.width) -> nn.Module:
        return OF_IMAGES[cell.normalization](channels)

    act, width = ACTIVATIONS[cell.activation], cell.width
    layers: list[nn.Module] = [conv(1, width, stride=2), norm(), act()]
    if cell.form == "plain":
        for _ in range(cell.depth - 1):
            layers += [conv(width, width), norm(), act()]
    for _ in range(cell.depth // 2 if cell.form == "residual" else 0):
        layers.append(Branch(norm(), act(), conv(width, width), norm(), act(), conv(width, width)))
    for _ in range(cell.depth - 1 if cell.form == "mobile" else 0):
        wide = EXPANSION * width
        layers.append(
            Branch(
                *(conv(width, wide, 1), norm(wide), act()),
                *(conv(wide, wide, groups=wide), norm(wide), act()),
                *(conv(wide, width, 1), norm()),
            )
        )
    layers = [layer for layer in layers if not isinstance(layer, nn.Identity)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES))


class Rows(nn.Module):
    """Images, (n, 1, 16, 16), as their rows, (n, 16, 16), to a network of sequences."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images[:, 0])


def transformer(cell: Cell) -> nn.Module:
    """Sixteen tokens; form `none` has no normalization at all."""
    norm = OF_ROWS["none" if cell.form == "none" else cell.normalization]
    embed = nn.Linear(SIDE, cell.width)
    shape = cell.width, cell.depth, cell.activation
    return Rows(Transformer(embed, SIDE, *shape, norm, cell.form, CLASSES))


class Mixing(nn.Module):
    """A layer of two linear maps over tokens, then one over features (Tolstikhin et al. 2021)."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.post = cell.form == "post"
        self.norm1, self.norm2 = (OF_ROWS[cell.normalization](cell.width) for _ in "12")
        self.tokens, self.features = (
            nn.Sequential(
                nn.Linear(size, 2 * size), ACTIVATIONS[cell.activation](), nn.Linear(2 * size, size)
            )
            for size in (SIDE, cell.width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width), in and out."""
        if self.post:
            x = self.norm1(x + self._across(x))
            return self.norm2(x + self.features(x))
        x = x + self._across(self.norm1(x))
        return x + self.features(self.norm2(x))

    def _across(self, x: Tensor) -> Tensor:
        return self.tokens(x.transpose(1, 2)).transpose(1, 2)


class Mean(nn.Module):
    """(n, tokens, width) to (n, width)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def mixer(cell: Cell) -> nn.Module:
    """Sixteen tokens of the rows."""
    blocks = [Mixing(cell) for _ in range(cell.depth)]
    last = OF_ROWS[cell.normalization](cell.width) if cell.form == "pre" else nn.Identity()
    ends = nn.Linear(SIDE, cell.width), nn.Linear(cell.width, CLASSES)
    return Rows(nn.Sequential(ends[0], *blocks, last, Mean(), ends[1]))


RECURRENT = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Reader(nn.Module):
    """Recurrent layers over rows, or (`long`) over the 32 halves of rows; a linear readout."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        kind, self.way = cell.form.split()
        self.features = 8 if self.way == "long" else SIDE
        self.layers = RECURRENT[kind](self.features, cell.width, cell.depth, batch_first=True)
        self.head = nn.Linear(cell.width, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        states = self.layers(images.reshape(len(images), -1, self.features))[0]
        return self.head(states.mean(1) if self.way == "mean" else states[:, -1])


def recurrent(cell: Cell) -> nn.Module:
    """The last state is read, or (`mean`) the mean of all."""
    return Reader(cell)
