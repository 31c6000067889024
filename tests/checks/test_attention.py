"""F05 of attention that takes one key, F14 of tokens that positions drown."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin
from fanin.checks import Finding

WIDTH, LENGTH, WORDS = 128, 12, 30
TOKENS = torch.randint(0, WORDS, (64, LENGTH), generator=torch.Generator().manual_seed(0))
LATER = torch.ones(LENGTH, LENGTH).triu(1) > 0


class Attention(nn.Module):
    """Two heads of width 64, of queries and keys of variance 1."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.norm, self.how = nn.LayerNorm(WIDTH), how
        self.pack, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        nn.init.normal_(self.pack.weight, std=WIDTH**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.pack(self.norm(x)).chunk(3, -1)
        q, k, v = (one.unflatten(-1, (2, 64)).transpose(1, 2) for one in parts)
        mixed: Tensor = self.out(self._mixed(q, k, v).transpose(1, 2).flatten(2))
        return x + mixed

    def _mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.how.startswith("fused"):
            scale = 1.0 if self.how == "fused unscaled" else None
            return F.scaled_dot_product_attention(q, k, v, scale=scale)
        if self.how == "summed":
            logits = (q[..., :, None, :] * k[..., None, :, :]).sum(-1)
        else:
            logits = torch.einsum("bhtd,bhsd->bhts", q, k)
        if self.how in ("scaled", "masked", "biased"):
            logits = logits / 8
        if self.how == "masked":
            logits = logits.masked_fill(LATER, -1e9)
        if self.how == "biased":
            logits = logits - 3.0 * torch.arange(LENGTH)
        return logits.softmax(-1) @ v


class Reader(nn.Module):
    def __init__(self, inner: nn.Module, size: float = 1.0, positions: str = "learned") -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(WORDS, WIDTH), positions
        nn.init.normal_(self.words.weight, std=size)
        self.learned = nn.Parameter(0.7 * torch.randn(LENGTH, WIDTH))
        self.table = nn.Embedding(LENGTH, WIDTH)
        steps = torch.arange(LENGTH)[:, None] / 10000 ** (torch.arange(WIDTH) / WIDTH)
        self.register_buffer("waves", steps.sin() + steps.cos())
        self.inner, self.head = inner, nn.Linear(WIDTH, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        made = {
            "learned": self.learned,
            "table": self.table(torch.arange(LENGTH)),
            "waves": self.waves,
        }
        read: Tensor = self.head(self.inner(self.words(tokens) + made[self.positions]).mean(1))
        return read


def found(model: nn.Module, rule: str) -> list[Finding]:
    return list(fanin.check(model, TOKENS, TOKENS[:, 0] % 2, select=rule).findings)


@pytest.mark.parametrize("how", ["plain", "fused unscaled", "summed"])
def test_unscaled_attention(how: str) -> None:
    torch.manual_seed(0)
    (one,) = found(Reader(Attention(how)), "F05")
    assert (one.severity, one.layer) == ("warning", "inner")
    assert one.value == pytest.approx(8.0, rel=0.15)  # sqrt(64) products of variance 1
    assert one.fix.startswith("Multiply the products of queries and keys by 1/sqrt(64) = 0.125")


@pytest.mark.parametrize("how", ["scaled", "fused", "masked", "biased"])
def test_scaled_attention_with_masks_and_biases(how: str) -> None:
    torch.manual_seed(0)
    assert not found(Reader(Attention(how)), "F05")


def test_large_queries_and_keys() -> None:
    torch.manual_seed(0)
    model = Reader(Attention("scaled"))
    with torch.no_grad():
        model.inner.pack.weight.mul_(3)
    (one,) = found(model, "F05")
    assert one.fix.startswith("Smaller weights for queries and keys: 0.3")
    assert "inner.pack" in one.fix


@pytest.mark.parametrize("positions", ["learned", "table", "waves"])
def test_positions_that_drown_tokens(positions: str) -> None:
    torch.manual_seed(0)
    inner: Any = Attention("scaled")
    (one,) = found(Reader(inner, 0.05, positions), "F14")
    assert (one.severity, one.layer) == ("warning", "words.weight")
    assert one.value is not None
    assert one.value < 0.01  # 0.05**2 beside 0.7**2 and more
    assert "for words.weight" in one.fix
    assert not found(Reader(inner, 1.0, positions), "F14")
