"""Activations, normalizations and attention that the families share."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bench.calibration import networks

ACTIVATIONS = networks.ACTIVATIONS | {"silu": nn.SiLU, "elu": nn.ELU}
# Of (n, ..., width) or, for convolutions, (n, width, height, width).
OF_ROWS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
    "batch": nn.BatchNorm1d,
}
OF_IMAGES: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "group": lambda width: nn.GroupNorm(4, width),
}


class Attention(nn.Module):
    """Four heads, queries, keys and values from one packed projection."""

    def __init__(self, width: int, causal: bool = False) -> None:
        super().__init__()
        self.causal = causal
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width), in and out."""
        heads = self.qkv(x).unflatten(-1, (3, 4, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*heads, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and an MLP of twice the width; `form` says where normalizations stand."""

    def __init__(
        self, width: int, activation: str, norm: Callable[[int], nn.Module], form: str, causal: bool
    ) -> None:
        super().__init__()
        self.form = form
        self.norm1, self.norm2 = norm(width), norm(width)
        self.attention = Attention(width, causal)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), ACTIVATIONS[activation](), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, tokens, width), in and out."""
        if self.form == "post":
            x = self.norm1(x + self.attention(x))
            return self.norm2(x + self.mlp(x))
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Blocks on tokens with positions, and for pre-norm blocks one more norm at the end."""

    def __init__(
        self,
        embed: nn.Module,
        tokens: int,
        width: int,
        depth: int,
        activation: str,
        norm: Callable[[int], nn.Module],
        form: str,
        outputs: int,
        causal: bool = False,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.embed = embed
        self.positions = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.blocks = nn.Sequential(
            *(Block(width, activation, norm, form, causal) for _ in range(depth))
        )
        self.norm = norm(width) if form == "pre" else nn.Identity()
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens, (n, t[, features]), to (n, outputs), or (n, outputs, t) where causal."""
        x = self.norm(self.blocks(self.embed(x) + self.positions))
        return self.head(x).movedim(-1, 1) if self.causal else self.head(x.mean(1))
