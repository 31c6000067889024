"""The spectral condition on layers of uneven widths: norms at the start, and training."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

import fanin
from fanin import initializers
from fanin.studies._drawing import PALETTE, legend_beside, panels, plain_ticks
from fanin.studies._paired import holm
from fanin.studies._rows import ClaimFamily, ClaimRow, near, part
from fanin.studies._study import Advance, Figure, StudyPart
from fanin.studies.transformers._images import CLASSES, IMAGES_TOLD, INPUTS, make_batches
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

NARROW, WIDE = 32, (32, 256, 1024)  # hidden widths: wide, narrow, wide, narrow
SHAPES = ((1024, 32), (256, 256), (32, 1024))  # (out, in)
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
BATCH = 64
SPECTRAL, FAN_IN = "spectral", "fan-in"


def deviation(start: str, fan_out: int, fan_in: int) -> float:
    """The standard deviation that a start gives a weight: fan-in's, or what Yang et al. make it."""
    factor = min(1.0, math.sqrt(fan_out / fan_in)) if start == SPECTRAL else 1.0
    return factor / math.sqrt(fan_in)


def measure_norms(networks: int) -> dict[str, dict[str, list[float]]]:
    """By start and shape, spectral norms of weights over sqrt(out / in), from seeds 0, 1, ..."""
    return {
        start: {
            name_shape(shape): [
                _spectral_norm(shape, deviation(start, *shape), seed) for seed in range(networks)
            ]
            for shape in SHAPES
        }
        for start in (SPECTRAL, FAN_IN)
    }


def _spectral_norm(shape: tuple[int, int], std: float, seed: int) -> float:
    draw = initializers.get(f"normal(0.0, {std!r})")
    weight = torch.from_numpy(draw(shape, seed=seed, name="weight"))
    return float(torch.linalg.matrix_norm(weight, 2)) / math.sqrt(shape[0] / shape[1])


def name_shape(shape: tuple[int, int]) -> str:
    """`32 to 1024`."""
    return f"{shape[1]} to {shape[0]}"


def build(wide: int) -> nn.Sequential:
    """ReLU layers of so many units and of 32, in turn."""
    widths = (INPUTS, wide, NARROW, wide, NARROW, CLASSES)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def make_plan(start: str, wide: int) -> fanin.Plan:
    """All weights normal, with the start's deviations; biases zero."""
    overrides = {
        name: f"normal(0.0, {deviation(start, *value.shape)!r})"
        for name, value in build(wide).named_parameters()
        if value.ndim > 1
    }
    return fanin.plan(build(wide), initializer="normal", overrides=overrides)


def measure(advance: Advance, wide: int, steps: int, seeds: int) -> dict[str, Any]:
    """By start and rate, the last losses of every seed; and how uneven first gradients are."""
    chosen = range(FIRST_SEED, FIRST_SEED + seeds)
    plans = {start: make_plan(start, wide) for start in (SPECTRAL, FAN_IN)}
    batch = make_batches(chosen, steps, BATCH)
    uneven = {
        start: [_unevenness(plan, wide, seed, *batch(0, seed)) for seed in chosen]
        for start, plan in plans.items()
    }
    trained = train_starts(
        lambda: build(wide),
        plans,
        batch,
        seeds=chosen,
        rates=RATES,
        steps=steps,
        loss="cross_entropy",
        advance=advance,
    )
    return {"losses": trained.losses, "uneven": uneven}


def _unevenness(plan: fanin.Plan, wide: int, seed: int, inputs: Tensor, labels: Tensor) -> float:
    """The largest over the smallest spectral norm of the weights' gradients over sqrt(out / in).

    Steps of SGD are these gradients times one rate.
    """
    model = build(wide)
    plan.apply(model, seed)
    nn.functional.cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
    norms = [
        float(torch.linalg.matrix_norm(value.grad, 2)) / math.sqrt(value.shape[0] / value.shape[1])
        for value in model.parameters()
        if value.ndim > 1 and value.grad is not None
    ]
    return max(norms) / min(norms)


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes = {"steps": 3, "seeds": 1} if quick else {"steps": 200, "seeds": 8}
    work = 2 * len(RATES) * sizes["steps"] * sizes["seeds"]
    return [
        part("spectral norms", measure_norms, networks=2 if quick else 8),
        *(part(f"{wide} and {NARROW} wide", measure, work, wide=wide, **sizes) for wide in WIDE),
    ]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    norms = found["spectral norms"]
    # sqrt(in) + sqrt(out) times the deviation, of large normal matrices.
    expected = {
        name_shape(shape): deviation(SPECTRAL, *shape)
        * (math.sqrt(shape[0]) + math.sqrt(shape[1]))
        / math.sqrt(shape[0] / shape[1])
        for shape in SHAPES
    }
    told = ", ".join(
        f"{name} {sum(values) / len(values):.3g}" for name, values in norms[FAN_IN].items()
    )
    return [
        ClaimRow(
            "With std min(1, sqrt(out / in)) / sqrt(in) spectral norms are sqrt(out / in) times 1 "
            "to 2, whatever the shape",
            "Yang, Simon & Bernstein 2023, condition 1 and section 4",
            f"{len(norms[SPECTRAL][name_shape(SHAPES[0])])} normal matrices a shape; with std "
            f"1 / sqrt(in) it is {told}.",
            [
                near(f"norm over sqrt(out / in), {name}", claimed, norms[SPECTRAL][name])
                for name, claimed in expected.items()
            ],
        ),
        *_tell_training({wide: found[f"{wide} and {NARROW} wide"] for wide in WIDE}),
    ]


def _tell_training(found: Mapping[int, Mapping[str, Any]]) -> list[ClaimRow]:
    gaps = holm(
        [
            compare_losses(
                (FAN_IN, own["losses"][FAN_IN]), (SPECTRAL, own["losses"][SPECTRAL]), len(WIDE) - 1
            )
            for wide, own in found.items()
            if wide != NARROW
        ]
    )
    return [
        ClaimRow(
            f"Where layers of {wide} and {NARROW} units alternate, it trains better than fan-in",
            "karpathy/nanochat, gpt.py, starts so; the condition is that of Yang et al. 2023",
            f"49-{wide}-{NARROW}-{wide}-{NARROW}-10 with ReLU, {IMAGES_TOLD}, Adam at one rate "
            "for all layers (Yang et al. scale rates, too; nanochat has Muon), for each start the "
            f"best of {', '.join(f'{rate:g}' for rate in RATES)}.",
            trained=True,
            measured=f"Loss, {tell_ratio(gap)}. {_tell(own)}",
            holds=judge_ratio(gap),
            rule=RATIO_RULE,
        )
        for (wide, own), gap in zip(
            ((wide, own) for wide, own in found.items() if wide != NARROW), gaps, strict=True
        )
    ]


def _tell(own: Mapping[str, Any]) -> str:
    """Best rates, and how uneven the first gradients are."""
    told = []
    for start in (SPECTRAL, FAN_IN):
        best = find_best_rate(own["losses"][start])
        told.append(
            f"{start}: best rate {best}, norms of first gradients over sqrt(out / in) differ "
            f"{geometric(own['uneven'][start]):.2g} times among layers"
        )
    return f"{'; '.join(told)}."


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """The last loss against the rate, by width."""

    def draw(axes: Sequence[Axes]) -> None:
        for panel, wide in zip(axes, WIDE, strict=True):
            for colour, start in zip(PALETTE, (SPECTRAL, FAN_IN), strict=False):
                losses = found[f"{wide} and {NARROW} wide"]["losses"][start]
                heights = [geometric(take_best({rate: own})) for rate, own in losses.items()]
                panel.plot(RATES, heights, "o-", color=colour, label=start)
            panel.set(xscale="log", yscale="log", xlabel="rate")
            panel.set_title(f"{wide} and {NARROW}", fontsize=9)
            plain_ticks(panel.xaxis)
            plain_ticks(panel.yaxis)
        axes[0].set(ylabel="last loss")
        legend_beside(axes[-1])

    return [
        Figure(
            "spectral",
            "Last loss against the rate, for widths that alternate",
            lambda: panels("Last loss against rate", len(WIDE), draw),
            "Geometric means over the seeds.",
        )
    ]


SPECTRAL_FAMILY = ClaimFamily(parts, rows, figures)
