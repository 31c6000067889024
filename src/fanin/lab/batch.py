"""Batches: trials that are trained together, and how they are put together."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from fanin.lab import models, modes, prepare
from fanin.lab.checkpoint import Checkpoint
from fanin.lab.method import Method
from fanin.lab.setup import Setup, Spec
from fanin.lab.signals import EXAMPLES, measure
from fanin.lab.stack import one_thread
from fanin.lab.trial import Trial, train

STACKED = "side by side in one stack (torch.vmap: the numbers of one by one, up to rounding)"
Advance = Callable[[int], object]
ENOUGH_FOR_TWO = 64  # stacks of fewer than half of these waste what a second core gives


@dataclass(frozen=True)
class Batch:
    """Trials of one setup that are trained together; not stacked, there is one."""

    specs: tuple[Spec, ...]
    stacked: bool
    device: str

    @property
    def setup(self) -> Setup:
        """What its trials share."""
        return self.specs[0].setup

    @property
    def steps(self) -> int:
        """Training steps of all its trials."""
        return len(self.specs) * self.setup.steps


@dataclass(frozen=True)
class Schedule:
    """Batches for a list of trials. `notes` say, by setup, how they are trained and why."""

    batches: tuple[Batch, ...]
    notes: dict[Setup, str]


def schedule(specs: Sequence[Spec]) -> Schedule:
    """Put trials together; the batches depend on the list alone, not on what is finished.

    Raises FaninError for whatever is wrong with data, model or initializers, before any training.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batches: list[Batch] = []
    told: dict[Setup, str] = {}
    for setup in dict.fromkeys(spec.setup for spec in specs):
        mine = sorted((spec for spec in specs if spec.setup == setup), key=lambda spec: spec.lr)
        size, reason = _capacity(setup, mine[0].seed)
        # Every start once, so that one that this model refuses is found before any training.
        prepare.initialized(list({spec.start: spec for spec in mine}.values()))
        count = _count(len(mine), size)
        ends = [len(mine) * n // count for n in range(count + 1)]
        parts = [tuple(mine[a:b]) for a, b in itertools.pairwise(ends)]
        batches += [Batch(part, reason is None, device) for part in parts]
        told[setup] = reason or STACKED
    return Schedule(tuple(batches), told)


def _count(trials: int, size: int) -> int:
    """How many batches of equal size. Many trials make an even number, for two cores or more."""
    count = math.ceil(trials / size)
    return 2 * math.ceil(count / 2) if size > 1 and trials >= ENOUGH_FOR_TWO else count


def train_batch(
    batch: Batch, advance: Advance = lambda steps: None, checkpoint: Checkpoint | None = None
) -> list[Trial]:
    """Build, initialize, measure and train the models of a batch: a function of the batch alone.

    With a checkpoint the training goes on where a killed one was.
    """
    setup = batch.setup
    splits = [prepare.split_of(setup, spec.seed) for spec in batch.specs]
    built = prepare.initialized(batch.specs)
    method = Method.of(setup)
    signals = [
        measure(model, method, *prepare.inputs_and_targets(setup, part.order[0][:EXAMPLES]))
        for model, part in zip(built, splits, strict=True)
    ]
    with torch.random.fork_rng(), torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        torch.manual_seed(batch.specs[0].seed)  # of dropout, whose models train alone
        trials = train(
            built,
            [spec.lr for spec in batch.specs],
            splits,
            prepare.data_of(setup),
            setup,
            stacked=batch.stacked,
            device=batch.device,
            advance=advance,
            checkpoint=checkpoint,
        )
    return [
        replace(trial, signals=measured) for trial, measured in zip(trials, signals, strict=True)
    ]


def _capacity(setup: Setup, seed: int) -> tuple[int, str | None]:
    """How many trials of a setup train together; and why only one, where it is one."""
    data, found = prepare.data_of(setup), prepare.model_of(setup)
    # Of other weights each, so that a stack that mixes them up would show.
    pair = [found.build(seed), found.build(seed + 1)]
    models.check_output(found.name, pair[0], torch.from_numpy(data.inputs[:2]), data)
    size = modes.capacity(pair[0], setup.batch_size)
    if size == 1:
        return 1, "one after another: one model's batch fills a step"
    order = prepare.split_of(setup, seed).order[0]
    chosen = np.stack([order[: setup.batch_size], order[-setup.batch_size :]])
    inputs, targets = prepare.inputs_and_targets(setup, chosen)
    with one_thread():
        reason = modes.why_not_stacked(pair, Method.of(setup), inputs, targets)
    return (size, None) if reason is None else (1, f"one after another: {reason}")
