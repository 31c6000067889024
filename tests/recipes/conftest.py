"""Small models of torch with inputs for them, and what recipes make of them."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import nn

from fanin.frameworks import torch as adapter
from fanin.param import Param
from fanin.recipes import Choice, Recipe, find

Net = tuple[nn.Module, torch.Tensor]
WIDTH = 8


class Encoder(nn.Module):
    """A transformer of two pre-norm layers over patches, with a class token and a head."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, 5, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 2, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])


class Recurrent(nn.Module):
    """Words through an embedding and an LSTM to a class."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.words = nn.Embedding(11, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.lstm(self.words(x))[0][:, -1])


class Attention(nn.Module):
    """Attention of two heads to what is given."""

    def __init__(self, width: int, packed: bool, scale: float | None) -> None:
        super().__init__()
        self.scale = scale
        if packed:
            self.qkv = nn.Linear(width, 3 * width, bias=False)
        else:
            self.q, self.k, self.v = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.o = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor, read: torch.Tensor) -> Any:
        packed = self.qkv(x).chunk(3, -1) if hasattr(self, "qkv") else None
        parts = packed or (self.q(x), self.k(read), self.v(read))
        q, k, v = (part.unflatten(-1, (2, -1)).transpose(1, 2) for part in parts)
        y = nn.functional.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.o(y.transpose(1, 2).flatten(2))


class Gated(nn.Module):
    """An MLP with a gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate, self.up = (nn.Linear(width, 3 * width, bias=False) for _ in range(2))
        self.down = nn.Linear(3 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> Any:
        return self.down(nn.functional.silu(self.gate(x)) * self.up(x))


class Layer(nn.Module):
    """Attention, attention to another stream where there is one, and an MLP.

    The stream of a positive alpha is post-norm and times alpha; that of zero is pre-norm.
    """

    def __init__(
        self,
        width: int,
        packed: bool = False,
        scale: float | None = None,
        alpha: float = 0,
        cross: bool = False,
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.attention, self.mlp = Attention(width, packed, scale), Gated(width)
        self.cross = Attention(width, False, scale) if cross else None
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(2 + cross))

    def forward(self, x: torch.Tensor, read: torch.Tensor | None = None) -> Any:
        x = self.add(x, 0, lambda y: self.attention(y, y))
        if self.cross is not None:
            x = self.add(x, 2, lambda y: self.cross(y, read))
        return self.add(x, 1, self.mlp)

    def add(self, x: torch.Tensor, at: int, branch: Callable[[torch.Tensor], Any]) -> Any:
        if self.alpha:
            return self.norms[at](x * self.alpha + branch(x))
        return x + branch(self.norms[at](x))


class Decoder(nn.Module):
    """A language model of three layers; `tied` has the table of words for its head."""

    def __init__(self, width: int = WIDTH, tied: bool = False, **options: Any) -> None:
        super().__init__()
        self.words = nn.Embedding(11, width)
        self.layers = nn.Sequential(*(Layer(width, **options) for _ in range(3)))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, 11, bias=False)
        if tied:
            self.head.weight = self.words.weight

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.norm(self.layers(self.words(x))))


class Translator(nn.Module):
    """An encoder of three layers, and a decoder of two that reads it."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.words = nn.Embedding(11, width)
        self.encoder = nn.Sequential(*(Layer(width) for _ in range(3)))
        self.decoder = nn.ModuleList(Layer(width, cross=True) for _ in range(2))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, 11, bias=False)

    def forward(self, x: torch.Tensor) -> Any:
        y = self.words(x)
        read = self.norm(self.encoder(y))
        for layer in self.decoder:
            y = layer(y, read)
        return self.head(y)


def mlp(width: int = WIDTH) -> nn.Module:
    return nn.Sequential(
        nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 3)
    )


def cnn(width: int = WIDTH) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, groups=width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, width, 2, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 3),
    )


INPUTS = {
    "mlp": torch.zeros(4, 6),
    "cnn": torch.zeros(4, 3, 8, 8),
    "lstm": torch.zeros(4, 5, dtype=torch.long),
    "encoder": torch.zeros(4, 3, 8, 8),
}
MODELS: Mapping[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "cnn": cnn,
    "lstm": Recurrent,
    "encoder": Encoder,
}


class Zoo:
    """What recipes choose for the models above."""

    inputs = INPUTS
    models = MODELS
    decoder, translator, tokens = Decoder, Translator, torch.zeros(2, 5, dtype=torch.long)

    def params(self, model: nn.Module) -> dict[str, Param]:
        return {slot.param.name: slot.param for slot in adapter.slots(model)}

    def choices(
        self, model: nn.Module, recipe: str | Recipe, inputs: Any = None
    ) -> dict[str, Choice]:
        graph = None if inputs is None else adapter.trace(model, inputs)
        return find(recipe).choose(self.params(model), graph, {})

    def stds(
        self, model: nn.Module | str, recipe: str | Recipe, inputs: Any = None
    ) -> dict[str, float]:
        """The standard deviation of every parameter; a model by name runs on its inputs."""
        if isinstance(model, str):
            inputs, model = INPUTS[model], MODELS[model]()
        params, made = self.params(model), self.choices(model, recipe, inputs)
        found = {}
        for name, choice in made.items():
            if choice.initializer is not None:
                axes = choice.axes or params[name].axes
                found[name] = choice.initializer.std(params[name].shape, axes)
        return found


@pytest.fixture(scope="session")
def zoo() -> Zoo:
    return Zoo()
