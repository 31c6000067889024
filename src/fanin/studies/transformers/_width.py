"""The best learning rate over width: the standard parametrization, and mup."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import fanin
from fanin.lab import check_widths
from fanin.plans import optimizer_groups
from fanin.recipes import Recipe, mup
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, Figure, StudyPart
from fanin.studies.transformers._images import load_images
from fanin.studies.transformers._training import FIRST_SEED, end, train
from fanin.studies.transformers._transfer import Parametrizations, draw_transfer, judge_transfer

GROWTH = Parametrizations("width", "auto", "mup")
BASE = 64
BATCH, WINDOW = 64, 50
SOURCE = "Yang et al. 2021 (Tensor Programs V)"
RATES = (0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016)


def build(width: int) -> nn.Module:
    """An MLP of three hidden layers."""
    layers: list[nn.Module] = []
    for before in (28 * 28, width, width):
        layers += [nn.Linear(before, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def measure(
    advance: Advance, recipe: str, width: int, rates: Sequence[float], steps: int, seeds: int
) -> dict[str, list[float | None]]:
    """By rate, the mean of each seed's last losses."""
    _, images, labels = load_images(1)
    found: dict[str, list[float | None]] = {f"{rate:g}": [] for rate in rates}
    chosen: str | Recipe = recipe
    if recipe == "mup":
        chosen = mup(dict(build(BASE).named_parameters()))
    plan = fanin.plan(build(width), images[:1], chosen)
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        draws = torch.randint(
            len(images), (steps, BATCH), generator=torch.Generator().manual_seed(seed)
        )

        def loss(model: nn.Module, step: int, draws: Tensor = draws) -> Tensor:
            return F.cross_entropy(model(images[draws[step]]), labels[draws[step]])

        for rate in rates:
            model = build(width)
            plan.apply(model, seed)
            groups = optimizer_groups(plan, dict(model.named_parameters()), lr=rate)
            losses = train(model, loss, torch.optim.Adam(groups, fused=True), steps, advance)
            found[f"{rate:g}"].append(None if None in losses else end(losses, WINDOW))
    return found


def check(widths: Sequence[int], steps: int, seeds: int) -> dict[str, Any]:
    """By recipe: whether the check is passed, and by which power of the width changes grow."""
    _, images, labels = load_images(1)
    found = {}
    for recipe in (GROWTH.moving, GROWTH.staying):
        checked = check_widths(
            build, widths, images[:BATCH], labels[:BATCH], recipe=recipe, steps=steps, seeds=seeds
        )
        weights = [row for row in checked.rows if int(row.name) % 2 == 0]  # the others are ReLUs
        powers = {row.name: row.change_power for row in weights}
        found[recipe] = {"ok": checked.ok, "powers": powers}
    return found


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes: dict[str, Any] = {"rates": list(RATES), "steps": 150, "seeds": 2}
    widths = [64, 128, 256, 512]
    if quick:
        sizes, widths = {"rates": list(RATES[2:5]), "steps": 3, "seeds": 1}, widths[:2]
    steps = len(sizes["rates"]) * sizes["seeds"] * sizes["steps"]
    return [
        part(GROWTH.key(recipe, width), measure, steps, recipe=recipe, width=width, **sizes)
        for recipe in (GROWTH.moving, GROWTH.staying)
        for width in widths
    ] + [part("coordinates", check, widths=widths, steps=5, seeds=1 if quick else 3)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    how = (
        f"MLP of three hidden layers on MNIST, Adam, mup relative to width {BASE}, batches of "
        f"{BATCH}, mean of the last {WINDOW} losses."
    )
    claims = {
        GROWTH.moving: "The best learning rate moves with the width in the standard "
        "parametrization, here auto",
        GROWTH.staying: "The best learning rate stays in mup as the width grows",
    }
    return [
        *(
            judge_transfer(found, GROWTH, name, ClaimRow(claim, SOURCE, how))
            for name, claim in claims.items()
        ),
        _coordinates(found["coordinates"]),
    ]


def _coordinates(checks: Mapping[str, Any]) -> ClaimRow:
    told = [
        f"{recipe} {', '.join(f'{power:+.2f}' for power in checks[recipe]['powers'].values())}"
        for recipe in checks
    ]
    return ClaimRow(
        "After some steps of Adam activations have changed by more the wider the network is, and "
        "in mup by the same",
        f"{SOURCE}, appendix D.1: the coordinate check",
        "The same MLP by `fanin.lab.check_widths`, Adam at 0.01.",
        measured=f"Powers of the width by which changes grow, layer by layer: {'; '.join(told)}.",
        holds=checks[GROWTH.staying]["ok"] and not checks[GROWTH.moving]["ok"],
        rule="Holds where mup passes the check, every power within 1/4 of zero, and the other "
        "does not.",
    )


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """Loss over rate."""
    return [draw_transfer(found, GROWTH, "width", "Loss by learning rate and width")]


WIDTH_TRANSFER = ClaimFamily(parts, rows, figures)
