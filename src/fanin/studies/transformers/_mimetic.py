"""Mimetic initialization of a small vision transformer."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

import fanin
from fanin.lab.networks.networks import TransformerBlock
from fanin.lab.statistics.statistics import mean_interval
from fanin.lab.training import losses as lab_losses
from fanin.studies._contrasts import is_better
from fanin.studies._paired import difference
from fanin.studies._rows import ClaimFamily, ClaimRow, part, text
from fanin.studies._study import Advance, StudyPart
from fanin.studies.transformers._images import CLASSES, cut_test, make_batches
from fanin.studies.transformers._stacked import train_starts
from fanin.studies.transformers._training import FIRST_SEED

PIXELS, PATCH, HEADS, BATCH = 14, 2, 4, 32
SIDE = PIXELS // PATCH
STARTS = ("auto", "mimetic")
RULE = (
    "Holds where the paired sign-flip test finds a higher accuracy; refuted where it finds a lower "
    "one, or where the interval ends below one point."
)


class PatchTransformer(nn.Module):
    """Patches of 2 x 2 pixels as tokens with sinusoidal places, which the source's models have."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.embed = nn.Linear(PATCH * PATCH, width)
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, HEADS, nn.GELU) for _ in range(layers))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CLASSES)
        self.register_buffer("places", list_places(width))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 196) to (n, 10)."""
        cut = (
            images.view(-1, SIDE, PATCH, SIDE, PATCH).transpose(2, 3).reshape(-1, SIDE**2, PATCH**2)
        )
        hidden = self.blocks(self.embed(cut) + self.places)
        outputs: Tensor = self.head(self.norm(hidden).mean(dim=1))
        return outputs


def list_places(width: int) -> Tensor:
    """Sines and cosines of row and column, (49, width), frequencies from 1 to 1/10,000."""
    frequencies = 10_000.0 ** -torch.linspace(0, 1, width // 4)
    phases = torch.arange(SIDE)[:, None] * frequencies
    waves = torch.cat([phases.sin(), phases.cos()], dim=1)
    rows, columns = waves[:, None].expand(SIDE, SIDE, -1), waves[None].expand(SIDE, SIDE, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)


def measure(
    advance: Advance, width: int, layers: int, rate: float, steps: int, first_seed: int, seeds: int
) -> dict[str, dict[str, list[float | None]]]:
    """By start, every seed's accuracy on test images and its last loss."""
    chosen = range(first_seed, first_seed + seeds)

    def build() -> nn.Module:
        return PatchTransformer(width, layers)

    plans = {name: fanin.plan(build(), torch.zeros(1, PIXELS**2), name) for name in STARTS}
    trained = train_starts(
        build,
        plans,
        make_batches(chosen, steps, BATCH, pool=2),
        seeds=chosen,
        rates=[rate],
        steps=steps,
        loss="cross_entropy",
        advance=advance,
    )
    found: dict[str, dict[str, list[float | None]]] = {
        name: {"accuracy": [], "loss": trained.losses[name][f"{rate:g}"]} for name in STARTS
    }
    for name, seed in product(STARTS, chosen):
        images, labels = cut_test(seed, pool=2)
        outputs = trained.evaluate(rate, name, seed, images)
        found[name]["accuracy"].append(lab_losses.score(outputs, labels))
    return found


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes: dict[str, Any] = {"width": 32, "layers": 4, "rate": 0.001, "steps": 250}
    sizes |= {"first_seed": FIRST_SEED, "seeds": 8}
    if quick:
        sizes |= {"width": 16, "layers": 1, "steps": 3, "seeds": 2}
    work = len(STARTS) * sizes["steps"] * sizes["seeds"]
    return [part("mimetic", measure, work, **sizes)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    measured = found["mimetic"]
    sides = [(name, measured[name]["accuracy"]) for name in reversed(STARTS)]
    gap = difference(sides[0], sides[1], family=1)
    told = ", ".join(f"{name} {text(mean_interval(values))}" for name, values in sides)
    interval = gap.interval
    return [
        ClaimRow(
            "Mimetic initialization makes small vision transformers better",
            "Trockman & Kolter 2023: 5 points on CIFAR-10",
            "49 patches of MNIST (14 x 14 pixels), four heads, sinusoidal places, "
            "Adam; recipe mimetic against auto, which differ in attention alone.",
            trained=True,
            measured=f"Test accuracy {told}; the difference {100 * interval.mean:+.2f} points "
            f"({100 * interval.low:+.2f} to {100 * interval.high:+.2f}), p = {gap.p_adjusted:.2g}.",
            holds=is_better(gap),
            rule=RULE,
        )
    ]


MIMETIC_FAMILY = ClaimFamily(parts, rows)
