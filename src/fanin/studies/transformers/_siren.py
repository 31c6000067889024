"""SIREN: what its start keeps, and an image fitted from it, from torch's and with other omegas."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor, nn

import fanin
from fanin.lab.data import sources
from fanin.studies._drawing import PALETTE, panels, plain_ticks
from fanin.studies._paired import holm
from fanin.studies._rows import ClaimFamily, ClaimRow, near, part
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

OMEGA = 30.0
OMEGAS = (1.0, 10.0, OMEGA, 100.0)
RATES = (3e-5, 1e-4, 3e-4, 1e-3)
HIDDEN = 3  # layers behind the first
DEEPER = range(1, HIDDEN + 1)
PIXELS = 28 * 28
NEAR_BEST = 2.0  # of mean squared error, 3 dB: what "works well" may miss of the best
TORCH, FLAT = "torch's default", "first layer as the others"
# The starts with sin(30 z) beside SIREN's, which is one for every omega: recipe and overrides.
OTHERS: Mapping[str, tuple[str, dict[str, str]]] = {
    TORCH: ("torch", {}),
    FLAT: ("siren", {"0.weight": f"siren({OMEGA})"}),
}


class SineLayer(nn.Module):
    """sin(omega z)."""

    def __init__(self, omega: float) -> None:
        super().__init__()
        self.omega = omega

    def forward(self, z: Tensor) -> Tensor:
        """Any shape, in and out."""
        return torch.sin(self.omega * z)


def build(omega: float, width: int) -> nn.Sequential:
    """Places (n, 2) to grey values (n, 1)."""
    layers: list[nn.Module] = [nn.Linear(2, width), SineLayer(omega)]
    for _ in DEEPER:
        layers += [nn.Linear(width, width), SineLayer(omega)]
    return nn.Sequential(*layers, nn.Linear(width, 1))


def list_places() -> Tensor:
    """Where the pixels of an image are, (784, 2), from -1 to 1."""
    side = torch.linspace(-1, 1, 28)
    return torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=-1).flatten(0, 1)


def choose_pixels() -> Tensor:
    """Every other pixel of an image, as on a chessboard, (784,); the rest are held out."""
    number = torch.arange(PIXELS)
    return (number // 28 + number % 28) % 2 == 0


def measure_signals(width: int, networks: int) -> dict[str, list[list[float]]]:
    """By network and hidden layer, the variances of omega z and of its sine, at the start."""
    found: dict[str, list[list[float]]] = {"before": [], "behind": []}
    plan = fanin.plan(build(OMEGA, width), list_places(), "siren")
    for seed in range(networks):
        model = build(OMEGA, width)
        plan.apply(model, seed)
        hidden = list(model)[:-1]
        x = list_places()
        squares = []
        with torch.no_grad():
            for layer in hidden:
                x = layer(x)
                squares.append(float(x.double().square().mean()))
        found["before"].append([OMEGA**2 * square for square in squares[2::2]])
        found["behind"].append(squares[3::2])
    return found


def measure(
    advance: Advance, omega: float, width: int, steps: int, seeds: int
) -> dict[str, dict[str, dict[str, list[float | None]]]]:
    """By start and rate, every seed's squared error on the fitted pixels, and on the others."""
    images = torch.from_numpy(sources.load("mnist").inputs).flatten(1)[..., None]
    where, seen = list_places(), choose_pixels()
    chosen = range(FIRST_SEED, FIRST_SEED + seeds)

    def image(seed: int) -> Tensor:
        return 2 * images[500 * (seed % 10) + seed] - 1  # 500 of each digit, in order

    starts = {_name(omega): ("siren", dict[str, str]()), **(OTHERS if omega == OMEGA else {})}
    trained = train_starts(
        lambda: build(omega, width),
        {
            name: fanin.plan(build(omega, width), where, recipe, overrides=overrides)
            for name, (recipe, overrides) in starts.items()
        },
        lambda step, seed: (where[seen], image(seed)[seen]),
        seeds=chosen,
        rates=RATES,
        steps=steps,
        loss="quadratic",
        advance=advance,
    )
    held_out: dict[str, dict[str, list[float | None]]] = {
        name: {rate: [] for rate in losses} for name, losses in trained.losses.items()
    }
    for rate, name, seed in product(RATES, starts, chosen):
        gap = trained.evaluate(rate, name, seed, where[~seen]) - image(seed)[~seen]
        error = float(gap.square().mean())
        held_out[name][f"{rate:g}"].append(error if math.isfinite(error) else None)
    return {"fitted": trained.losses, "held out": held_out}


def _name(omega: float) -> str:
    return f"omega {omega:g}"


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes = {"width": 16, "steps": 10, "seeds": 2} if quick else {"width": 64, "steps": 100}
    sizes = {"seeds": 8, **sizes}
    work = len(RATES) * sizes["steps"] * sizes["seeds"]
    return [
        part("sine signals", measure_signals, width=256, networks=3 if quick else 20),
        *(
            part(
                f"image, {_name(omega)}",
                measure,
                work * (1 + len(OTHERS) if omega == OMEGA else 1),
                omega=omega,
                **sizes,
            )
            for omega in OMEGAS
        ),
    ]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    fits, others = (
        {
            name: losses
            for omega in OMEGAS
            for name, losses in found[f"image, {_name(omega)}"][side].items()
        }
        for side in ("fitted", "held out")
    )
    cases = {
        "Without SIREN's start a network of sines fits worse, and slower": (TORCH, fits),
        "Without it pixels between the fitted ones come out worse": (TORCH, others),
        "The first layer is to span several periods: U(-1/n, 1/n), not what the others have": (
            FLAT,
            fits,
        ),
    }
    own = _name(OMEGA)
    gaps = holm(
        [
            compare_losses((name, losses[name]), ("SIREN's", losses[own]), len(cases))
            for name, losses in cases.values()
        ]
    )
    how = (
        f"Places to grey values by four layers of sin({OMEGA:g} z), "
        f"{len(take_best(fits[own]))} MNIST images, half of the pixels fitted by Adam, each start "
        "at the best of the rates "
        f"{', '.join(f'{rate:g}' for rate in RATES)}."
    )
    return [
        _signals(found["sine signals"]),
        *(
            ClaimRow(
                statement,
                "Sitzmann et al. 2020, section 3.2",
                how,
                trained=True,
                measured=f"Squared error, {tell_ratio(gap)}. {_tell(fits, others, name)}",
                holds=judge_ratio(gap),
                rule=RATIO_RULE,
            )
            for (statement, (name, _)), gap in zip(cases.items(), gaps, strict=True)
        ),
        _omegas(fits, others, how),
    ]


def _signals(measured: Mapping[str, Sequence[Sequence[float]]]) -> ClaimRow:
    checks = [
        near(f"variance {side} the sine, layer {layer + 1}", published, values)
        for side, published in (("before", 1.0), ("behind", 0.5))
        for layer, values in zip(DEEPER, zip(*measured[side], strict=True), strict=True)
    ]
    return ClaimRow(
        "From SIREN's start what every sine reads is N(0, 1), and its values have the arcsine "
        "distribution, of variance 1/2, at any depth",
        "Sitzmann et al. 2020, theorem 1.8 of the supplement",
        f"{len(measured['before'])} networks of width 256, omega {OMEGA:g}, on the places of "
        "28 x 28 pixels. The sine of N(0, 1) has variance (1 - exp(-2)) / 2 = 0.432, and of N(0, "
        "v) with v = 1 - exp(-2 v) = 0.797, where layer by layer this ends, 0.398.",
        checks,
    )


def _tell(fits: Mapping[str, Any], others: Mapping[str, Any], name: str) -> str:
    return (
        f"PSNR {find_psnr(fits[name]):.1f} dB, held out {find_psnr(others[name]):.1f}; SIREN's "
        f"{find_psnr(fits[_name(OMEGA)]):.1f}, held out {find_psnr(others[_name(OMEGA)]):.1f}."
    )


def find_psnr(losses: Mapping[str, Sequence[float | None]]) -> float:
    """PSNR of values from -1 to 1: of the geometric mean of errors at its best rate."""
    return 10 * math.log10(4 / geometric(take_best(losses)))


def _omegas(fits: Mapping[str, Any], others: Mapping[str, Any], how: str) -> ClaimRow:
    names = list(map(_name, OMEGAS))
    best = max(find_psnr(fits[name]) for name in names)
    own = find_psnr(fits[_name(OMEGA)])
    told = ", ".join(
        f"{name} {find_psnr(fits[name]):.1f} ({find_psnr(others[name]):.1f})" for name in names
    )
    return ClaimRow(
        f"omega = {OMEGA:g} works well",
        "Sitzmann et al. 2020, section 3.2",
        how,
        trained=True,
        measured=f"PSNR in dB, in brackets that of the pixels held out: {told}.",
        holds=own >= best - 10 * math.log10(NEAR_BEST),
        rule=f"Holds where no omega of the grid has an error more than {NEAR_BEST:g} times smaller "
        "on the fitted pixels.",
    )


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """PSNR against omega."""

    def draw(axes: Sequence[Axes]) -> None:
        (panel,) = axes
        for colour, side in zip(PALETTE, ("fitted", "held out"), strict=False):
            own = [found[f"image, {_name(omega)}"][side] for omega in OMEGAS]
            heights = [
                find_psnr(losses[_name(omega)]) for losses, omega in zip(own, OMEGAS, strict=True)
            ]
            panel.plot(OMEGAS, heights, "o-", color=colour, label=f"SIREN, {side}")
            at_omega = own[OMEGAS.index(OMEGA)]
            panel.plot(OMEGA, find_psnr(at_omega[TORCH]), "x", color=colour, label=f"torch, {side}")
        panel.set_xscale("log")
        plain_ticks(panel.xaxis)
        panel.set(xlabel="omega", ylabel="PSNR, dB")
        panel.legend(frameon=False, fontsize=8)

    return [
        Figure(
            "siren",
            "PSNR of fitted and of held-out pixels against omega",
            lambda: panels("PSNR against omega", 1, draw, (4.6, 3.2)),
            "Geometric means over the images; each point is at its best rate.",
        )
    ]


SIREN = ClaimFamily(parts, rows, figures)
