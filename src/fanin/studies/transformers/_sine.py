"""A sine of one number, fitted by one hidden layer: what its biases start with."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

import fanin
from fanin.lab.report.drawing import FAINT
from fanin.studies._drawing import PALETTE, legend_beside, panels
from fanin.studies._paired import holm
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, Figure, StudyPart
from fanin.studies.transformers._ratios import (
    RATIO_RULE,
    compare_losses,
    geometric,
    judge_ratio,
    take_best,
    tell_ratio,
)
from fanin.studies.transformers._stacked import train_starts
from fanin.studies.transformers._training import FIRST_SEED

PERIODS = (1, 2, 4)  # of the sine, from -1 to 1
RATES = (0.001, 0.003, 0.01)
POINTS = 128
ZERO, TORCH = "biases zero", "torch's default"
# By name, recipe and overrides. A unit of weight +-s turns on at -b/s: uniform over the inputs.
STARTS: Mapping[str, tuple[str, dict[str, str]]] = {
    ZERO: ("torch", {"*.bias": "zeros"}),
    TORCH: ("torch", {}),
    "Keras's default": ("keras", {}),
    "knots uniform": (
        "torch",
        {"0.weight": "signs(1 / sqrt(3))", "0.bias": "uniform(-1 / sqrt(3), 1 / sqrt(3))"},
    ),
}


def data(periods: int) -> tuple[Tensor, Tensor]:
    """Inputs from -1 to 1 and the sine of so many periods, (n, 1) each."""
    inputs = torch.linspace(-1, 1, POINTS)[:, None]
    return inputs, torch.sin(periods * math.pi * inputs)


def measure(advance: Advance, periods: int, width: int, steps: int, seeds: int) -> dict[str, Any]:
    """By start and rate, every seed's last losses; and the first seed's fit at the middle rate."""
    inputs, targets = data(periods)

    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, 1))

    trained = train_starts(
        build,
        {
            name: fanin.plan(build(), recipe=recipe, overrides=overrides)
            for name, (recipe, overrides) in STARTS.items()
        },
        lambda step, seed: (inputs, targets),
        seeds=range(FIRST_SEED, FIRST_SEED + seeds),
        rates=RATES,
        steps=steps,
        loss="quadratic",
        advance=advance,
    )
    fits = {}
    for name in STARTS:
        output = trained.evaluate(RATES[1], name, FIRST_SEED, inputs)
        fits[name] = [round(value, 4) for value in output[:, 0].tolist()]
    return {"losses": trained.losses, "fits": fits}


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes = {"width": 64, "steps": 30 if quick else 3000, "seeds": 2 if quick else 10}
    work = len(STARTS) * len(RATES) * sizes["steps"] * sizes["seeds"]
    return [part(_name(periods), measure, work, periods=periods, **sizes) for periods in PERIODS]


def _name(periods: int) -> str:
    return f"sine {periods}"


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    losses = {periods: found[_name(periods)]["losses"] for periods in PERIODS}
    gaps = holm(
        [
            compare_losses((ZERO, own[ZERO]), (TORCH, own[TORCH]), len(PERIODS))
            for own in losses.values()
        ]
    )
    return [
        ClaimRow(
            f"One hidden layer of ReLU needs random biases to fit a sine of {periods} "
            f"{'period' if periods == 1 else 'periods'}",
            "keras issue 20873 (2025), which does not say how many periods",
            f"{POINTS} points from -1 to 1, Adam, each start at the best of the rates "
            f"{', '.join(f'{rate:g}' for rate in RATES)}; biases zero are beside torch's weights.",
            trained=True,
            measured=f"Loss, {tell_ratio(gap)}. Geometric means: {_tell(own)}.",
            holds=judge_ratio(gap),
            rule=RATIO_RULE,
        )
        for (periods, own), gap in zip(losses.items(), gaps, strict=True)
    ]


def _tell(losses: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {geometric(take_best(own)):.2g}" for name, own in losses.items())


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """The fits of one seed, for every number of periods."""

    def draw(axes: Sequence[Axes]) -> None:
        for panel, periods in zip(axes, PERIODS, strict=True):
            inputs, targets = (values[:, 0].tolist() for values in data(periods))
            panel.plot(inputs, targets, color=FAINT, lw=3, alpha=0.5, label="sine")
            for colour, (name, fit) in zip(
                PALETTE, found[_name(periods)]["fits"].items(), strict=False
            ):
                panel.plot(inputs, fit, color=colour, lw=1, label=name)
            panel.set(xlabel="input", ylim=(-1.5, 1.5))
            panel.set_title(f"{periods} {'period' if periods == 1 else 'periods'}", fontsize=9)
        legend_beside(axes[-1])

    return [
        Figure(
            "sine",
            "Sines of 1, 2 and 4 periods and what one hidden layer made of them",
            lambda: panels("Fits of a sine by start of the biases", len(PERIODS), draw),
            f"Seed {FIRST_SEED}, rate {RATES[1]:g}.",
        )
    ]


SINE = ClaimFamily(parts, rows, figures)
