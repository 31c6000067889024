"""Small networks of one shape, trained side by side: starts, rates and seeds in one stack."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from fanin import Plan
from fanin.lab.training.optimization import Optimization
from fanin.lab.training.stack import Stack
from fanin.studies._study import Advance
from fanin.studies.transformers._training import end

StepBatch = Callable[[int, int], tuple[Tensor, Tensor]]
LossesByRate = Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class TrainedStarts:
    """Models trained by Adam, several at once, by rate, start and seed.

    `losses` has by start and rate every seed's last losses; None of those that are not finite.
    """

    losses: dict[str, dict[str, list[float | None]]]
    stack: Stack
    places: Mapping[tuple[float, str, int], int]

    def evaluate(self, rate: float, start: str, seed: int, inputs: Tensor) -> Tensor:
        """The outputs of one of them."""
        return self.stack.evaluate(self.places[rate, start, seed], inputs)


def train_starts(
    build: Callable[[], nn.Module],
    plans: Mapping[str, Plan],
    batch: StepBatch,
    *,
    seeds: Sequence[int],
    rates: Sequence[float],
    steps: int,
    loss: str,
    advance: Advance,
) -> TrainedStarts:
    """Train a model from every start, with every rate and seed.

    A start is a plan for what `build()` makes; `batch(step, seed)` gives inputs and targets, the
    same for all starts.
    """
    started: dict[tuple[str, int], nn.Module] = {}
    for name, seed in product(plans, seeds):
        started[name, seed] = build()
        plans[name].apply(started[name, seed], seed)
    jobs = list(product(rates, plans, seeds))
    models = [started[name, seed] for _, name, seed in jobs]  # a stack copies them
    stack = Stack(models, [rate for rate, _, _ in jobs], Optimization(loss, "adam"), "cpu")
    curves: list[list[float]] = []
    for step in range(steps):
        curves.append(stack.step(*_gather(batch, step, seeds, len(jobs))).tolist())
        advance(len(jobs))
    found: dict[str, dict[str, list[float | None]]] = {
        name: {f"{rate:g}": [] for rate in rates} for name in plans
    }
    for (rate, name, _), curve in zip(jobs, zip(*curves, strict=True), strict=True):
        last = end(value if math.isfinite(value) else None for value in curve)
        found[name][f"{rate:g}"].append(last if math.isfinite(last) else None)
    return TrainedStarts(found, stack, {job: place for place, job in enumerate(jobs)})


def _gather(
    batch: StepBatch, step: int, seeds: Sequence[int], models: int
) -> tuple[Tensor, Tensor]:
    """The seeds' inputs and targets, again and again: (models, n, ...) each."""
    own = [batch(step, seed) for seed in seeds] * (models // len(seeds))
    return torch.stack([inputs for inputs, _ in own]), torch.stack([targets for _, targets in own])
