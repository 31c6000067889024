"""Tables of tokens of std 0.02, 1/sqrt(d) and 1, tied to the head or not, and heads of std 1."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from fanin import initializers
from fanin.lab.statistics.statistics import mean_interval
from fanin.studies._rows import ClaimFamily, ClaimRow, part, text, within
from fanin.studies._study import Advance, StudyPart
from fanin.studies.transformers._characters import cut_held_out
from fanin.studies.transformers._gpt import SmallGPT, held_out, loss_of, make_plan, train_seeds
from fanin.studies.transformers._judging import judge_gains
from fanin.studies.transformers._training import FIRST_SEED

BEYOND = 500.0  # of the first loss, in the thread
T5 = {"1": 110.0, "1/sqrt d": 11.0}  # first losses in the thread, by the head's std
ROUGHLY = 0.1  # relative, of a figure that its source calls approximate
ONE = "1"
# By the table's std, and for a tied and another head: the rate.
RATES = {
    True: {"0.02": 0.002, "1/sqrt d": 0.002, ONE: 0.002},
    False: {"0.02": 0.001, "1/sqrt d": 0.002, ONE: 0.008},
}
BATCH, LENGTH = 4, 64


def _rule(std: str, width: int) -> str:
    return f"normal(0.0, {1 / math.sqrt(width) if std == '1/sqrt d' else float(std)!r})"


def measure_first(width: int, layers: int, seeds: int) -> list[float]:
    """The first loss of each seed with a tied table of std 1, all else as in torchtitan."""
    found = []
    model = SmallGPT(width, layers, LENGTH)
    plan = make_plan(model, "torchtitan", {"places.weight": "normal(0.0, 0.02)"})
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        plan.apply(model, seed)
        with torch.no_grad():
            found.append(float(loss_of(model, cut_held_out(BATCH, LENGTH))))
    return found


def measure_heads(width: int, vocabulary: int, rows: int, seeds: int) -> dict[str, list[float]]:
    """First losses of heads by their std, on rows that a norm made of mean square 1."""
    found: dict[str, list[float]] = {std: [] for std in T5}
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        random = np.random.default_rng(seed)
        normed = F.layer_norm(torch.from_numpy(random.standard_normal((rows, width))), (width,))
        targets = torch.from_numpy(random.integers(0, vocabulary, rows))
        for std in T5:
            drawn = initializers.get(_rule(std, width))(
                (vocabulary, width), seed=seed, name="head.weight"
            )
            logits = normed.float() @ torch.from_numpy(drawn).T
            found[std].append(float(F.cross_entropy(logits, targets)))
    return found


def measure(
    advance: Advance,
    std: str,
    tied: bool,
    rate: float,
    width: int,
    layers: int,
    steps: int,
    seeds: int,
) -> list[dict[str, float | None]]:
    """Losses from a table of tokens of this standard deviation, for each seed."""
    return train_seeds(
        lambda: SmallGPT(width, layers, LENGTH, tied=tied),
        "gpt2",
        {"tokens.weight": _rule(std, width)},
        rate=rate,
        steps=steps,
        batch=BATCH,
        seeds=seeds,
        advance=advance,
    )


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    few = 3 if quick else 5
    sizes: dict[str, Any] = {"width": 64, "layers": 2, "steps": 200, "seeds": 8}
    if quick:
        sizes |= {"width": 32, "layers": 1, "steps": 5, "seeds": 2}
    steps = sizes["steps"] * sizes["seeds"]
    return [
        part("first loss, tied", measure_first, width=1024, layers=1 if quick else 2, seeds=few),
        part("first loss, T5", measure_heads, width=768, vocabulary=32128, rows=256, seeds=few),
        *(
            part(_key(tied, std), measure, steps, std=std, tied=tied, rate=rate, **sizes)
            for tied, rates in RATES.items()
            for std, rate in rates.items()
        ),
    ]


def _key(tied: bool, std: str) -> str:
    return f"{'tied' if tied else 'untied'} table of {std}"


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    return [
        _row_of_first(found["first loss, tied"]),
        ClaimRow(
            "A head of its own of std 1 starts T5 with a loss of about 110, one of 1/sqrt d with "
            "about 11",
            "huggingface/transformers pull request 26441 of 2023-09-27",
            "The head of T5-base, 32,128 rows of width 768, on rows that a norm gives.",
            [
                within(f"first loss, std {std}", loss, found["first loss, T5"][std], ROUGHLY * loss)
                for std, loss in T5.items()
            ],
        ),
        *(_row_of_trained(found, tied) for tied in RATES),
    ]


def _row_of_first(losses: list[float]) -> ClaimRow:
    told = mean_interval(losses)
    return ClaimRow(
        "A table of N(0, 1) that is also the head starts with a loss beyond 500, at width 1024",
        "pytorch/torchtitan pull request 2342 of 2026-02-08, of Qwen3",
        f"Small GPT, recipe torchtitan, {len(losses)} seeds; Qwen3-0.6B, of the same width, is "
        "deeper and has more words.",
        measured=f"First loss {text(told)}.",
        holds=told.low > BEYOND,
        rule=f"Holds where the whole 95 % interval is above {BEYOND:g}.",
    )


def _row_of_trained(found: Mapping[str, Any], tied: bool) -> ClaimRow:
    runs = {std: found[_key(tied, std)] for std in RATES[tied]}
    first = ", ".join(
        f"{std}: {np.mean([run['first'] for run in of]):.3g}" for std, of in runs.items()
    )
    row = ClaimRow(
        f"A table of N(0, 1), torch's default, is too large "
        f"{'where it is also the head' if tied else 'beside a head of its own'}: 0.02 and 1/sqrt d "
        "train better",
        "pytorch/pytorch issue 3121 of 2017-10-14",
        f"Small GPT, recipe gpt2 but for the table, Adam at the rate that was best for each on "
        f"another seed; first losses {first}.",
    )
    losses = {std: [held_out(run) for run in of] for std, of in runs.items()}
    return judge_gains(ONE, losses, row)


EMBEDDING = ClaimFamily(parts, rows)
