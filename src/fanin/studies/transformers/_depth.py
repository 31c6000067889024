"""The best learning rate over depth: branches of 1/sqrt(L) and of 1/L."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from fanin.plans import optimizer_groups
from fanin.recipes import Recipe, completep, depth_mup
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, Figure, StudyPart
from fanin.studies.transformers._gpt import SmallGPT, make_plan, train_gpt
from fanin.studies.transformers._training import FIRST_SEED
from fanin.studies.transformers._transfer import Parametrizations, draw_transfer, judge_transfer

GROWTH = Parametrizations("depth", "depth_mup", "completep")
RULES: Mapping[str, tuple[Callable[..., Recipe], float]] = {
    "depth_mup": (depth_mup, 0.5),
    "completep": (completep, 1.0),
}
BASE = 2  # layers of the model at which the two are the same
BATCH, LENGTH = 4, 32
SOURCE = "Dey et al. 2025 (CompleteP), figure 1"
EPSILON, DECAY = 1e-8, 0.1
RATES = (0.004, 0.008, 0.016, 0.032, 0.064)


def measure(
    advance: Advance,
    recipe: str,
    layers: int,
    width: int,
    rates: Sequence[float],
    steps: int,
    seeds: int,
) -> dict[str, list[float | None]]:
    """By rate, the mean of each seed's last losses."""
    found: dict[str, list[float | None]] = {f"{rate:g}": [] for rate in rates}
    make, power = RULES[recipe]

    def build() -> SmallGPT:
        return SmallGPT(width, layers, LENGTH, branch=(layers / BASE) ** -power)

    base = build()
    plan = make_plan(base, make(dict(base.named_parameters()), layers=BASE))
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        for rate in rates:
            model = build()
            plan.apply(model, seed)
            params = dict(model.named_parameters())
            groups = optimizer_groups(plan, params, lr=rate, eps=EPSILON, weight_decay=DECAY)
            optimizer = torch.optim.AdamW(groups, fused=True)
            run = train_gpt(model, optimizer, seed, steps, BATCH, advance)
            found[f"{rate:g}"].append(run["last"])
    return found


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes: dict[str, Any] = {"width": 32, "rates": list(RATES), "steps": 150, "seeds": 2}
    if quick:
        sizes |= {"rates": list(RATES[1:4]), "steps": 3, "seeds": 1}
    runs = len(sizes["rates"]) * sizes["seeds"]
    return [
        part(
            GROWTH.key(recipe, layers),
            measure,
            runs * sizes["steps"],
            recipe=recipe,
            layers=layers,
            **sizes,
        )
        for recipe in RULES
        for layers in ((2, 4) if quick else (2, 4, 8, 16))
    ]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    how = (
        f"Small GPT with a base of {BASE} layers, AdamW by the recipes' groups, weight decay "
        f"{DECAY:g}, batches of {BATCH} x {LENGTH} characters, mean of the last 20 losses. "
        "The source's networks are deeper and train for longer."
    )
    claims = {
        GROWTH.moving: "The best learning rate moves with depth where branches are times 1/sqrt L",
        GROWTH.staying: "The best learning rate stays with depth where branches are times 1/L",
    }
    return [
        judge_transfer(found, GROWTH, name, ClaimRow(claim, SOURCE, how))
        for name, claim in claims.items()
    ]


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """Loss over rate."""
    return [draw_transfer(found, GROWTH, "depth", "Loss by learning rate and depth")]


DEPTH_TRANSFER = ClaimFamily(parts, rows, figures)
