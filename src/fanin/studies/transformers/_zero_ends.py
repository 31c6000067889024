"""Deep residual networks without normalization, whose branches start at zero."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

import fanin
from fanin.lab.report.drawing import FAINT
from fanin.studies._drawing import PALETTE, legend_beside, panels, plain_ticks
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, Figure, StudyPart
from fanin.studies.transformers._images import CLASSES, IMAGES_TOLD, INPUTS, make_batches
from fanin.studies.transformers._ratios import take_best
from fanin.studies.transformers._stacked import train_starts
from fanin.studies.transformers._training import FIRST_SEED

BLOCKS = (32, 64, 128)
RATES = (0.001, 0.003)
WIDTH, BATCH = 32, 32
LEARNED = math.log(CLASSES) - 0.1
HE, TORCH = "He", "torch's default"
# By name, whether branches end with a scalar; and recipe or initializer, and overrides.
STARTS: Mapping[str, tuple[bool, dict[str, Any]]] = {
    HE: (False, {"initializer": "he_normal"}),
    TORCH: (False, {"recipe": "torch"}),
    "last weights zero": (
        False,
        {"initializer": "he_normal", "overrides": {"*.outer.weight": "zeros"}},
    ),
    "ReZero": (True, {"recipe": "rezero"}),
    "SkipInit": (True, {"recipe": "skipinit"}),
}
ZEROS = tuple(STARTS)[2:]


class Branch(nn.Module):
    """x + s W2 relu(W1 x): a residual block, with or without the scalar s."""

    def __init__(self, width: int, scaled: bool) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        self.scale = nn.Parameter(torch.ones(1)) if scaled else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, width), in and out."""
        change: Tensor = self.outer(torch.relu(self.inner(x)))
        return x + (change if self.scale is None else self.scale * change)


def build(blocks: int, scaled: bool) -> nn.Module:
    """A weight, so many blocks, and a head."""
    chain = [Branch(WIDTH, scaled) for _ in range(blocks)]
    return nn.Sequential(nn.Linear(INPUTS, WIDTH), *chain, nn.ReLU(), nn.Linear(WIDTH, CLASSES))


def measure(
    advance: Advance, blocks: int, steps: int, seeds: int
) -> dict[str, dict[str, list[float | None]]]:
    """By start and rate, the last losses of every seed."""
    chosen = range(FIRST_SEED, FIRST_SEED + seeds)
    found: dict[str, dict[str, list[float | None]]] = {}
    for scaled in (False, True):
        example = torch.zeros(1, INPUTS) if scaled else None  # a run shows where scalars are
        starts = {name: given for name, (own, given) in STARTS.items() if own is scaled}
        trained = train_starts(
            partial(build, blocks, scaled),
            {
                name: fanin.plan(build(blocks, scaled), example, **given)
                for name, given in starts.items()
            },
            make_batches(chosen, steps, BATCH),
            seeds=chosen,
            rates=RATES,
            steps=steps,
            loss="cross_entropy",
            advance=advance,
        )
        found |= trained.losses
    return found


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes = {"steps": 3, "seeds": 1} if quick else {"steps": 150, "seeds": 3}
    work = len(STARTS) * len(RATES) * sizes["steps"] * sizes["seeds"]
    return [
        part(f"{blocks} blocks", measure, work, blocks=blocks // 32 if quick else blocks, **sizes)
        for blocks in BLOCKS
    ]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    worst = {
        name: [max(take_best(found[f"{blocks} blocks"][name])) for blocks in BLOCKS]
        for name in STARTS
    }
    told = "; ".join(
        f"{name} {', '.join(f'{loss:.3g}' for loss in losses)}" for name, losses in worst.items()
    )
    zeros = all(loss < LEARNED for name in ZEROS for loss in worst[name])
    failed = all(loss >= LEARNED for loss in worst[HE])
    depths = " and ".join(f"{2 * blocks}" for blocks in BLOCKS)
    return [
        ClaimRow(
            "Residual networks without normalization learn where every branch starts at zero, and "
            "do not from He's variance",
            "Bachlechner et al. 2020 (ReZero); De & Smith 2020 (SkipInit)",
            f"Blocks x + s W2 relu(W1 x) of width {WIDTH}, s for ReZero and SkipInit alone, "
            f"{depths} layers in them; {IMAGES_TOLD}, Adam, the better of the rates "
            f"{' and '.join(f'{rate:g}' for rate in RATES)}.",
            trained=True,
            measured=f"Last loss of the worst seed, by depth: {told}.",
            holds=zeros and failed,
            rule=f"Holds where every seed of {', '.join(ZEROS)} ends below {LEARNED:.2f} (guessing "
            f"is {math.log(CLASSES):.2f}) at every depth, and a seed of {HE} above it at each.",
        )
    ]


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """The last loss against the depth."""

    def draw(axes: Sequence[Axes]) -> None:
        (panel,) = axes
        layers = [2 * blocks for blocks in BLOCKS]
        for colour, name in zip(PALETTE, STARTS, strict=False):
            heights = [max(take_best(found[f"{blocks} blocks"][name])) for blocks in BLOCKS]
            panel.plot(layers, heights, "o-", color=colour, label=name)
        panel.axhline(math.log(CLASSES), color=FAINT, lw=1, ls="--", label="guessing")
        panel.set(xscale="log", yscale="log", xlabel="layers", ylabel="last loss")
        panel.set_xticks(layers)
        plain_ticks(panel.xaxis)
        plain_ticks(panel.yaxis)
        legend_beside(panel)

    return [
        Figure(
            "zero-ends",
            "Last loss against the depth of residual networks without normalization",
            lambda: panels("Last loss against depth", 1, draw, (5.6, 3.2)),
            "The worst seed at its start's better rate.",
        )
    ]


ZERO_ENDS = ClaimFamily(parts, rows, figures)
