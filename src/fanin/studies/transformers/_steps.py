"""Mamba-2's time steps: log-uniform, all one, or all their geometric mean."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, StudyPart
from fanin.studies.transformers._characters import VOCABULARY, cut_held_out, draw_batches
from fanin.studies.transformers._gpt import HELD_OUT_WINDOWS, adam, loss_of
from fanin.studies.transformers._judging import judge_gains
from fanin.studies.transformers._training import FIRST_SEED, train

STATES = 8
LOW, HIGH = 0.001, 0.1  # time steps of Mamba
MIDDLE = math.sqrt(LOW * HIGH)
ONES, DRAWN, CONSTANT = "biases one", "log-uniform", f"constant {MIDDLE:g}"
STARTS: Mapping[str, dict[str, str]] = {
    ONES: {"*.step_biases": "ones()"},
    DRAWN: {},
    CONSTANT: {"*.step_biases": f"constant({math.log(math.expm1(MIDDLE))!r})"},
}


class StateBlock(nn.Module):
    """Mamba-2 without its short convolution, beside an identity; heads of 8 features.

    h[t] = exp(-a s[t]) h[t - 1] + s[t] B[t] x[t], y = C h + D x, with steps s = softplus(z + bias);
    computed as a masked product, as no loop is needed for so short texts.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.heads = 2 * width, width // 4
        self.norm = nn.LayerNorm(width)
        self.values = nn.Linear(width, 2 * self.inner, bias=False)
        self.states = nn.Linear(width, 2 * STATES, bias=False)
        self.steps = nn.Linear(width, self.heads, bias=False)
        self.step_biases = nn.Parameter(torch.ones(self.heads))
        self.log_rates = nn.Parameter(torch.arange(1.0, self.heads + 1).log())
        self.direct = nn.Parameter(torch.ones(self.heads))
        self.mixed = nn.Linear(self.inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, length, width), in and out."""
        seen = self.norm(x)
        value, gate = self.values(seen).chunk(2, dim=-1)
        value = F.silu(value).view(*value.shape[:2], self.heads, -1)
        put, get = self.states(seen).chunk(2, dim=-1)
        steps = F.softplus(self.steps(seen) + self.step_biases)
        passed = (-steps * self.log_rates.exp()).cumsum(dim=1).transpose(1, 2)
        gap = passed[..., :, None] - passed[..., None, :]
        later = torch.ones(gap.shape[-2:], dtype=torch.bool).tril()
        kept = gap.masked_fill(~later, -math.inf).exp()
        matched = (get @ put.transpose(1, 2))[:, None] * kept
        y = torch.einsum("nhts,nshd->nthd", matched, steps[..., None] * value)
        y = (y + self.direct[:, None] * value).flatten(2) * F.silu(gate)
        after: Tensor = x + self.mixed(y)
        return after


class SmallMamba(nn.Module):
    """Such blocks over characters; no places."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.blocks = nn.ModuleList(StateBlock(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, length) to logits (n, length, characters)."""
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


def measure(
    advance: Advance,
    start: str,
    width: int,
    layers: int,
    length: int,
    batch: int,
    rate: float,
    steps: int,
    first_seed: int,
    seeds: int,
) -> list[float]:
    """The loss on held-out text from a start, for each seed; that of a guess where it diverged."""
    example = torch.zeros(1, length, dtype=torch.long)
    plan = fanin.plan(SmallMamba(width, layers), example, "mamba", overrides=STARTS[start])
    found = []
    for seed in range(first_seed, first_seed + seeds):
        model = SmallMamba(width, layers)
        plan.apply(model, seed)
        windows = draw_batches(seed, steps, batch, length)
        train(model, partial(_find_loss, windows), adam(model, rate), steps, advance)
        with torch.no_grad():
            loss = float(loss_of(model, cut_held_out(HELD_OUT_WINDOWS, length)))
        found.append(loss if math.isfinite(loss) else math.log(VOCABULARY))
    return found


def _find_loss(windows: Tensor, model: nn.Module, step: int) -> Tensor:
    return loss_of(model, windows[step])


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes: dict[str, Any] = {"width": 48, "layers": 2, "length": 64, "batch": 8, "rate": 0.003}
    sizes |= {"steps": 300, "first_seed": FIRST_SEED, "seeds": 8}
    if quick:
        sizes |= {"width": 16, "length": 16, "steps": 5, "seeds": 2}
    return [
        part(_name(start), measure, sizes["steps"] * sizes["seeds"], start=start, **sizes)
        for start in STARTS
    ]


def _name(start: str) -> str:
    return f"Mamba, {start}"


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    losses = {start: found[_name(start)] for start in STARTS}
    how = (
        "Two blocks of Mamba-2 without its short convolution, recipe mamba, characters, Adam; "
        f"{len(losses[DRAWN])} paired seeds."
    )
    claims = {
        ONES: (
            "Mamba-2 with log-uniform time steps ends lower than with step biases of one",
            "flash-linear-attention pull request 739 (2026): ones cost a 7B model its lead",
        ),
        CONSTANT: (
            "It ends lower than with one constant step, their geometric mean",
            "what the spread is for: Gu & Dao 2023, section 3.6",
        ),
    }
    return [
        judge_gains(other, {name: losses[name] for name in (DRAWN, other)}, ClaimRow(*told, how))
        for other, told in claims.items()
    ]


STEPS = ClaimFamily(parts, rows)
