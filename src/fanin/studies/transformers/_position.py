"""GPT-2's table of places: half the standard deviation of the table of tokens, or the same."""

from collections.abc import Mapping
from typing import Any

from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, StudyPart
from fanin.studies.transformers._gpt import SmallGPT, held_out, train_seeds
from fanin.studies.transformers._judging import judge_gains

STDS = (0.01, 0.02)
BATCH, LENGTH = 4, 64  # as in the source


def measure(
    advance: Advance, std: float, width: int, layers: int, rate: float, steps: int, seeds: int
) -> list[dict[str, float | None]]:
    """Losses from a table of places of this standard deviation, for each seed."""
    return train_seeds(
        lambda: SmallGPT(width, layers, LENGTH),
        "gpt2",
        {"places.weight": f"normal(0.0, {std!r})"},
        rate=rate,
        steps=steps,
        batch=BATCH,
        seeds=seeds,
        advance=advance,
    )


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes: dict[str, Any] = {"width": 64, "layers": 4, "rate": 0.001, "steps": 500, "seeds": 10}
    if quick:
        sizes |= {"width": 32, "layers": 2, "steps": 20, "seeds": 2}
    return [
        part(f"places {std:g}", measure, sizes["steps"] * sizes["seeds"], std=std, **sizes)
        for std in STDS
    ]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    losses = {f"{std:g}": [held_out(run) for run in found[f"places {std:g}"]] for std in STDS}
    row = ClaimRow(
        "A table of places of std 0.01 ends with a lower loss than one of 0.02",
        "comment of 2026-03-02 in karpathy/build-nanogpt issue 18: all of 10 seeds, p = 0.0014",
        f"Small GPT, recipe gpt2, batches of {BATCH} x {LENGTH} characters as in the source.",
    )
    return [judge_gains(f"{STDS[1]:g}", losses, row)]


POSITION = ClaimFamily(parts, rows)
