"""Weights smaller than 1/sqrt(d_in): d_in^-gamma with gamma above one half."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from fanin.lab.statistics.statistics import mean_interval
from fanin.studies._drawing import PALETTE, panels
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, Figure, StudyPart
from fanin.studies.transformers._gpt import SmallGPT, held_out, train_seeds
from fanin.studies.transformers._judging import judge_gains

USUAL = 0.5
RATES = {USUAL: 0.002, 0.65: 0.002, 0.8: 0.002, 1.0: 0.001}  # by gamma
BATCH, LENGTH = 4, 64


def measure(
    advance: Advance, gamma: float, width: int, layers: int, rate: float, steps: int, seeds: int
) -> list[dict[str, float | None]]:
    """Losses from weights and tables of std d_in^-gamma, for each seed."""
    return train_seeds(
        lambda: SmallGPT(width, layers, LENGTH),
        f"gamma({gamma!r})",
        rate=rate,
        steps=steps,
        batch=BATCH,
        seeds=seeds,
        advance=advance,
    )


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes: dict[str, Any] = {"width": 64, "layers": 2, "steps": 400, "seeds": 8}
    if quick:
        sizes |= {"width": 32, "layers": 2, "steps": 10, "seeds": 2}
    steps = sizes["steps"] * sizes["seeds"]
    return [
        part(f"gamma {gamma:g}", measure, steps, gamma=gamma, rate=rate, **sizes)
        for gamma, rate in RATES.items()
    ]


def _read(found: Mapping[str, Any]) -> dict[str, list[float]]:
    return {f"{gamma:g}": [held_out(run) for run in found[f"gamma {gamma:g}"]] for gamma in RATES}


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    row = ClaimRow(
        "Weights of std d_in^-gamma lower the pre-training loss with every gamma above 1/2, here "
        "0.65, 0.8 and 1",
        "Hang et al. 2026 (Small Initialization Matters for Large Language Models), abstract",
        f"Small GPT, recipe gamma, Adam at the rate that was best for each on another seed, "
        f"batches of {BATCH} x {LENGTH} characters. The source, too, has a critical gamma.",
    )
    return [judge_gains(f"{USUAL:g}", _read(found), row)]


def figures(found: Mapping[str, Any]) -> list[Figure]:
    """Loss over gamma."""

    def draw(axes: Sequence[Axes]) -> None:
        (panel,) = axes
        intervals = [mean_interval(losses) for losses in _read(found).values()]
        means = [interval.mean for interval in intervals]
        reach = [interval.high - interval.mean for interval in intervals]
        panel.errorbar([*RATES], means, reach, fmt="o-", color=PALETTE[0], capsize=3)
        panel.set(xlabel="gamma", ylabel="loss on held-out text")

    title = "Loss by gamma, weights of std d_in^-gamma"
    caption = "Bars are 95 % intervals over the seeds; differences of pairs are surer than they."
    return [Figure("gamma", title, lambda: panels(title, 1, draw), caption)]


SMALL = ClaimFamily(parts, rows, figures)
