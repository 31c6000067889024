"""Trial groups: trials that are trained together, and how they are put together."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from fanin.lab.networks import models
from fanin.lab.setup import TrialSetup, TrialSpec
from fanin.lab.training import lookup, stacking
from fanin.lab.training.checkpoint import Checkpoint
from fanin.lab.training.optimization import Optimization
from fanin.lab.training.signals import EXAMPLES, measure
from fanin.lab.training.stack import one_thread
from fanin.lab.training.trial import Trial, train

STACKED = "side by side in one stack (torch.vmap: the numbers of one by one, up to rounding)"
Advance = Callable[[int], object]
ENOUGH_FOR_TWO = 64  # stacks of fewer than half of these waste what a second core gives


@dataclass(frozen=True)
class TrialGroup:
    """Trials of one setup that are trained together; not stacked, there is one."""

    specs: tuple[TrialSpec, ...]
    stacked: bool
    device: str

    @property
    def setup(self) -> TrialSetup:
        """What its trials share."""
        return self.specs[0].setup

    @property
    def steps(self) -> int:
        """Training steps of all its trials."""
        return len(self.specs) * self.setup.steps


@dataclass(frozen=True)
class Schedule:
    """Trial groups for a list of trials. `notes` say, by setup, how they are trained and why."""

    groups: tuple[TrialGroup, ...]
    notes: dict[TrialSetup, str]


def schedule(specs: Sequence[TrialSpec]) -> Schedule:
    """Put trials together; the groups depend on the list alone, not on what is finished.

    Raises FaninError for whatever is wrong with data, model or initializers, before any training.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    groups: list[TrialGroup] = []
    told: dict[TrialSetup, str] = {}
    for setup in dict.fromkeys(spec.setup for spec in specs):
        mine = sorted((spec for spec in specs if spec.setup == setup), key=lambda spec: spec.lr)
        size, reason = _capacity(setup, mine[0].seed)
        # Every initialization once, so that one which this model refuses is found before training.
        lookup.initialize(list({spec.initialization: spec for spec in mine}.values()))
        count = _count(len(mine), size)
        ends = [len(mine) * n // count for n in range(count + 1)]
        parts = [tuple(mine[a:b]) for a, b in itertools.pairwise(ends)]
        groups += [TrialGroup(part, reason is None, device) for part in parts]
        told[setup] = reason or STACKED
    return Schedule(tuple(groups), told)


def _count(trials: int, size: int) -> int:
    """How many groups of equal size. Many trials make an even number, for two cores or more."""
    count = math.ceil(trials / size)
    return 2 * math.ceil(count / 2) if size > 1 and trials >= ENOUGH_FOR_TWO else count


def train_group(
    group: TrialGroup, advance: Advance = lambda steps: None, checkpoint: Checkpoint | None = None
) -> list[Trial]:
    """Build, initialize, measure and train the models of a group: a function of the group alone.

    With a checkpoint the training goes on where a killed one was.
    """
    setup = group.setup
    splits = [lookup.split_of(setup, spec.seed) for spec in group.specs]
    built = lookup.initialize(group.specs)
    optimization = Optimization.of(setup)
    signals = [
        measure(model, optimization, *lookup.inputs_and_targets(setup, part.order[0][:EXAMPLES]))
        for model, part in zip(built, splits, strict=True)
    ]
    with torch.random.fork_rng(), torch.backends.cudnn.flags(deterministic=True, benchmark=False):
        torch.manual_seed(group.specs[0].seed)  # of dropout, whose models train alone
        trials = train(
            built,
            [spec.lr for spec in group.specs],
            splits,
            lookup.data_of(setup),
            setup,
            stacked=group.stacked,
            device=group.device,
            advance=advance,
            checkpoint=checkpoint,
        )
    return [
        replace(trial, signals=measured) for trial, measured in zip(trials, signals, strict=True)
    ]


def _capacity(setup: TrialSetup, seed: int) -> tuple[int, str | None]:
    """How many trials of a setup train together; and why only one, where it is one."""
    data, found = lookup.data_of(setup), lookup.model_of(setup)
    # Of other weights each, so that a stack that mixes them up would show.
    pair = [found.build(seed), found.build(seed + 1)]
    models.check_output(found.name, pair[0], torch.from_numpy(data.inputs[:2]), data)
    size = stacking.capacity(pair[0], setup.batch_size)
    if size == 1:
        return 1, "one after another: one model's batch fills a step"
    order = lookup.split_of(setup, seed).order[0]
    chosen = np.stack([order[: setup.batch_size], order[-setup.batch_size :]])
    inputs, targets = lookup.inputs_and_targets(setup, chosen)
    with one_thread():
        reason = stacking.why_not_stacked(pair, Optimization.of(setup), inputs, targets)
    return (size, None) if reason is None else (1, f"one after another: {reason}")
