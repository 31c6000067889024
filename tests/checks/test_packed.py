"""F08 and F10 of matrices packed in one weight: query, key and value are judged one by one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

import fanin
from fanin.checks import Finding

WIDTH, HEADS, LENGTH = 32, 4, 6
QUERY, KEY, VALUE = range(3)
INPUTS = torch.randn(64, LENGTH, WIDTH, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(64) % 5
Spoil = Callable[[list[Tensor], Tensor], Any]


class Fused(nn.Module):
    """Matrices one behind another, or head by head as GPT-NeoX keeps them."""

    def __init__(self, interleaved: bool) -> None:
        super().__init__()
        self.interleaved = interleaved
        self.pack, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        made = self.pack(x)
        if self.interleaved:
            parts = made.unflatten(-1, (HEADS, -1)).transpose(1, 2).chunk(3, -1)
        else:
            parts = [part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in made.chunk(3, -1)]
        mixed = F.scaled_dot_product_attention(*parts)
        read: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return read

    def matrices(self) -> list[Tensor]:
        axis = (HEADS, 3, -1) if self.interleaved else (1, 3, -1)
        return list(self.pack.weight.detach().unflatten(0, axis).unbind(1))


class OfTorch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.out = self.inner.out_proj

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.inner(x, x, x, need_weights=False)[0]
        return made

    def matrices(self) -> list[Tensor]:
        return list(self.inner.in_proj_weight.detach().chunk(3))


class Reader(nn.Module):
    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(WIDTH), attention
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x: Tensor) -> Tensor:
        read: Tensor = self.head((x + self.attention(self.norm(x))).mean(1))
        return read


KINDS: dict[str, Callable[[], Any]] = {
    "one behind another": lambda: Fused(False),
    "head by head": lambda: Fused(True),
    "of torch": OfTorch,
}


def found(kind: str, spoil: Spoil) -> list[Finding]:
    torch.manual_seed(0)
    model = Reader(KINDS[kind]())
    with torch.no_grad():
        spoil(model.attention.matrices(), model.attention.out.weight)
    return list(fanin.check(model, INPUTS, LABELS, select=("F08", "F10")).findings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_zero_query_and_key_stay_zero(kind: str) -> None:
    def spoil(matrices: list[Tensor], out: Tensor) -> None:
        matrices[QUERY].zero_()
        matrices[KEY].zero_()

    (finding,) = found(kind, spoil)
    assert (finding.id, finding.severity) == ("F10", "warning")
    assert finding.measured.startswith("matrices 1, 2 of the 3 packed in attention.")


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_key(kind: str) -> None:
    (finding,) = found(kind, lambda matrices, out: matrices[KEY].fill_(0.1))
    assert (finding.id, finding.severity) == ("F08", "warning")
    assert finding.measured.startswith("matrix 2 of the 3 packed in attention.")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("healthy", ["as made", "zero query", "zero value", "zero output"])
def test_what_moves_is_no_finding(kind: str, healthy: str) -> None:
    """A zero query or value gets a gradient; behind a zero output all wait for it."""

    def spoil(matrices: list[Tensor], out: Tensor) -> None:
        if healthy == "zero output":
            out.zero_()
        elif healthy != "as made":
            matrices[QUERY if "query" in healthy else VALUE].zero_()

    assert found(kind, spoil) == []


def test_a_zero_query_and_key_in_jax() -> None:
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    keys = jax.random.split(jax.random.key(0), 3)

    def model(params: Any, x: Any) -> Any:
        query, key, value = jnp.split(x @ params["pack"], 3, axis=-1)
        mixed = jax.nn.softmax(query @ key.swapaxes(1, 2) / WIDTH**0.5) @ value
        return (x + mixed @ params["out"]).mean(1) @ params["head"]

    def normal(key: Any, *shape: int) -> Any:
        return jax.random.normal(key, shape) * shape[0] ** -0.5

    pack = normal(keys[0], WIDTH, 3 * WIDTH)
    params = {
        "pack": pack.at[:, : 2 * WIDTH].set(0.0),
        "out": normal(keys[1], WIDTH, WIDTH),
        "head": normal(keys[2], WIDTH, 5),
    }
    inputs, labels = jnp.asarray(INPUTS.numpy()), jnp.asarray(LABELS.numpy())
    done = fanin.check(model, inputs, labels, params=params, select=("F08", "F10"))
    (finding,) = done.findings
    assert finding.measured.startswith("matrices 1, 2 of the 3 packed in pack")
