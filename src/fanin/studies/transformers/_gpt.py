"""A small GPT over characters, its start from fanin, and its training on windows of the text."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin.recipes import Recipe
from fanin.studies._study import Advance
from fanin.studies.transformers._characters import VOCABULARY, cut_held_out, draw_batches
from fanin.studies.transformers._training import FIRST_SEED, end, train

HEADS = 4
HELD_OUT_WINDOWS = 64


class CausalBlock(nn.Module):
    """Attention and an MLP, each behind a norm, added to the stream times `branch`."""

    def __init__(self, width: int, branch: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.attention = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        packed = self.attention(self.norms[0](x)).view(batch, length, 3, HEADS, width // HEADS)
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.branch * self.mixed(y.transpose(1, 2).reshape(batch, length, width))
        mlp: Tensor = self.down(F.gelu(self.up(self.norms[1](x))))
        return x + self.branch * mlp


class SmallGPT(nn.Module):
    """GPT-2's architecture: learned places, norms before branches, the table tied to the head."""

    def __init__(
        self,
        width: int,
        layers: int,
        length: int,
        *,
        tied: bool = True,
        branch: float = 1.0,
        vocabulary: int = VOCABULARY,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.ModuleList(CausalBlock(width, branch) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


def make_plan(
    model: SmallGPT, recipe: str | Recipe, overrides: Mapping[str, str] | None = None
) -> fanin.Plan:
    """The plan of a model, for every seed."""
    tokens = torch.zeros(1, model.places.num_embeddings, dtype=torch.long)
    return fanin.plan(model, tokens, recipe, overrides=overrides)


def loss_of(model: nn.Module, windows: Tensor) -> Tensor:
    """The cross entropy of every next character of windows, (batch, length + 1)."""
    logits = model(windows[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())


def train_gpt(
    model: SmallGPT,
    optimizer: torch.optim.Optimizer,
    seed: int,
    steps: int,
    batch: int,
    advance: Advance,
) -> dict[str, float | None]:
    """The first loss, the mean of the last ones, and that of held-out text; None where diverged."""
    length = model.places.num_embeddings
    windows = draw_batches(seed, steps, batch, length)
    losses = train(model, lambda net, step: loss_of(net, windows[step]), optimizer, steps, advance)
    with torch.no_grad():
        after = float(loss_of(model, cut_held_out(HELD_OUT_WINDOWS, length)))
    found = {"first": losses[0], "last": end(losses), "held_out": after}
    return {
        name: value if value is not None and math.isfinite(value) else None
        for name, value in found.items()
    }


def train_seeds(
    build: Callable[[], SmallGPT],
    recipe: str,
    overrides: Mapping[str, str] | None = None,
    *,
    rate: float,
    steps: int,
    batch: int,
    seeds: int,
    advance: Advance,
) -> list[dict[str, float | None]]:
    """What `train_gpt` finds by Adam, for each seed from FIRST_SEED on."""
    plan = make_plan(build(), recipe, overrides)
    found = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        model = build()
        plan.apply(model, seed)
        found.append(train_gpt(model, adam(model, rate), seed, steps, batch, advance))
    return found


def held_out(run: Mapping[str, float | None]) -> float:
    """The loss on held-out text; that of a guess where the run diverged."""
    value = run["held_out"]
    return math.log(VOCABULARY) if value is None else value


def adam(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """Adam as GPT's code has it where nothing else is said: without weight decay."""
    parameters: Any = model.parameters()
    return torch.optim.Adam(parameters, rate, fused=True)
