"""Diagonal state spaces: which frequencies they start with, where a delay is to be learned."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

import fanin
from fanin import initializers
from fanin.initializers import Initializer
from fanin.studies._drawing import PALETTE, legend_beside, panels
from fanin.studies._paired import holm
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, Figure, StudyPart
from fanin.studies.transformers._ratios import (
    RATIO_RULE,
    compare_losses,
    find_best_rate,
    geometric,
    judge_ratio,
    take_best,
    tell_ratio,
)
from fanin.studies.transformers._stacked import train_starts
from fanin.studies.transformers._training import FIRST_SEED

CHANNELS, STATES = 16, 8
LENGTH, DELAY = 64, 16
BATCH = 8
RATES = (0.003, 0.01, 0.03, 0.1)
LIN, INV, REAL = "S4D-Lin", "S4D-Inv", "S4D-Real"


class DelayModel(nn.Module):
    """One number in and out at each time, through 16 diagonal state spaces of 8 states.

    States have rates a = exp(log_rates) and frequencies w, in units of a channel's step s; the
    kernel of a channel is s sum exp(-a s t) (c cos(w s t) - d sin(w s t)), and the outputs of all
    channels are added with the weights of the head. B is 1, as only its product with c counts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_steps = nn.Parameter(torch.zeros(CHANNELS))
        self.log_rates = nn.Parameter(torch.zeros(CHANNELS, STATES))
        self.frequencies = nn.Parameter(torch.zeros(CHANNELS, STATES))
        self.cosines = nn.Parameter(torch.zeros(CHANNELS, STATES))
        self.sines = nn.Parameter(torch.zeros(CHANNELS, STATES))
        self.head = nn.Linear(CHANNELS, 1, bias=False)

    def find_kernel(self) -> Tensor:
        """What an impulse gives, (length,)."""
        steps = self.log_steps.exp()[:, None]
        times = (steps * torch.arange(LENGTH))[:, None]
        phases = self.frequencies[..., None] * times
        decay = torch.exp(-self.log_rates.exp()[..., None] * times)
        waves = self.cosines[..., None] * phases.cos() - self.sines[..., None] * phases.sin()
        kernels = steps * (decay * waves).sum(dim=1)
        kernel: Tensor = self.head(kernels.T)[:, 0]
        return kernel

    def forward(self, x: Tensor) -> Tensor:
        """(n, length), in and out."""
        time = torch.arange(LENGTH)
        gap = time[:, None] - time
        matrix = self.find_kernel()[gap.clamp(min=0)] * (gap >= 0)
        return x @ matrix.T


def list_starts() -> dict[str, dict[str, Initializer | str]]:
    """Rates and frequencies of Gu et al. 2022; Lin and Inv have the rate 1/2."""
    number = np.arange(STATES)
    inverse = STATES / math.pi * (STATES / (2 * number + 1) - 1)
    half = f"constant({math.log(0.5)!r})"
    return {
        LIN: {"log_rates": half, "frequencies": "s4d_lin()"},
        INV: {
            "log_rates": half,
            "frequencies": initializers.constant(np.tile(inverse, (CHANNELS, 1))),
        },
        REAL: {"log_rates": "s4d_real()", "frequencies": "zeros()"},
    }


def make_plan(start: str) -> fanin.Plan:
    """Steps log-uniform from 0.001 to 0.1, all weights normal."""
    overrides: dict[str, Initializer | str] = {
        "log_steps": "log_uniform(0.001, 0.1, transform='log')",
        "cosines": "normal()",
        "sines": "normal()",
        **list_starts()[start],
    }
    return fanin.plan(DelayModel(), initializer="lecun_normal", overrides=overrides)


def draw_noise(step: int, seed: int) -> tuple[Tensor, Tensor]:
    """White noise (n, length), and the same later."""
    noise = np.random.default_rng((seed, step)).standard_normal((BATCH, LENGTH))
    inputs = torch.from_numpy(noise).float()
    return inputs, nn.functional.pad(inputs, (DELAY, 0))[:, :LENGTH]


def measure(advance: Advance, steps: int, seeds: int) -> dict[str, Any]:
    """By start and rate, every seed's last losses; and the first seed's kernel at each rate."""
    plans = {start: make_plan(start) for start in list_starts()}
    trained = train_starts(
        DelayModel,
        plans,
        draw_noise,
        seeds=range(FIRST_SEED, FIRST_SEED + seeds),
        rates=RATES,
        steps=steps,
        loss="quadratic",
        advance=advance,
    )
    impulse = nn.functional.one_hot(torch.tensor([0]), LENGTH).float()
    kernels: dict[str, dict[str, list[float]]] = {}
    for rate, start in product(RATES, plans):
        output = trained.evaluate(rate, start, FIRST_SEED, impulse)[0]
        kernels.setdefault(start, {})[f"{rate:g}"] = [round(v, 4) for v in output.tolist()]
    return {"losses": trained.losses, "kernels": kernels}


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes = {"steps": 5, "seeds": 2} if quick else {"steps": 600, "seeds": 8}
    work = len(list_starts()) * len(RATES) * sizes["steps"] * sizes["seeds"]
    return [part("delay", measure, work, **sizes)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    losses = found["delay"]["losses"]
    gaps = holm([compare_losses((REAL, losses[REAL]), (of, losses[of]), 2) for of in (LIN, INV)])
    means = ", ".join(f"{name} {geometric(take_best(own)):.3g}" for name, own in losses.items())
    return [
        ClaimRow(
            f"Diagonal state spaces learn more from the frequencies of {gap.second} than from "
            "real rates alone",
            "Gu, Gupta, Goel & Ré 2022 (S4D): the start is critical",
            f"{CHANNELS} state spaces of {STATES} states are to give white noise {DELAY} of "
            f"{LENGTH} steps later; Adam, each start at the best of the rates "
            f"{', '.join(f'{rate:g}' for rate in RATES)}. Frequencies of {REAL} start at zero, "
            "and are trained as the others'.",
            trained=True,
            measured=f"Squared error, {tell_ratio(gap)}. Of all: {means}; of the answer zero "
            f"{(LENGTH - DELAY) / LENGTH:g}.",
            holds=judge_ratio(gap),
            rule=RATIO_RULE,
        )
        for gap in gaps
    ]


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """The kernels that were learned."""
    measured = found["delay"]

    def draw(axes: Sequence[Axes]) -> None:
        (panel,) = axes
        for colour, (start, kernels) in zip(PALETTE, measured["kernels"].items(), strict=False):
            rate = find_best_rate(measured["losses"][start])
            panel.plot(kernels[rate], color=colour, label=start)
        panel.axvline(DELAY, color="0.6", lw=1, ls="--")
        panel.set(xlabel="steps later", ylabel="answer to an impulse")
        legend_beside(panel)

    return [
        Figure(
            "delay",
            "What state spaces that were to learn a delay answer to an impulse",
            lambda: panels("Learned kernels", 1, draw, (5.0, 3.0)),
            f"Seed {FIRST_SEED}, each start at its best rate; asked for is 1 at {DELAY}.",
        )
    ]


DIAGONAL = ClaimFamily(parts, rows, figures)
