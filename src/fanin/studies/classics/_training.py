"""Networks trained on MNIST side by side, each with a start and a learning rate of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from fanin.lab.settings import CompareSettings
from fanin.lab.setup import TrialSetup
from fanin.lab.training import lookup, stacking
from fanin.lab.training.trial import Trial, train
from fanin.studies._study import Advance

FIRST_SEED = 10  # with seeds below it rates and numbers of steps were tried out
Initialize = Callable[[nn.Module, int], object]
NETWORKS = "fanin.studies.classics._networks"


@dataclass(frozen=True)
class NetworkTrial:
    """One network: `start(model, seed)` initializes it in place."""

    start: Initialize
    seed: int
    rate: float


def setup(
    model: str, depth: int, steps: int, batch_size: int, optimizer: str, loss: str
) -> TrialSetup:
    """A training of so many steps on MNIST. `model` names a function of `_networks`."""
    return CompareSettings(
        model=f"{NETWORKS}:{model}",
        depth=depth,
        train=min(4000, steps * batch_size),
        test=500,
        epochs=max(1, steps * batch_size // 4000),
        batch_size=batch_size,
        optimizer=optimizer,
        loss=loss,
    ).setup


def train_networks(
    shared: TrialSetup, jobs: Sequence[NetworkTrial], advance: Advance
) -> list[Trial]:
    """Train all jobs, stacked, in their order; `advance` hears of the steps of each network."""
    found: list[Trial] = []
    many = max(1, stacking.INPUTS_IN_A_STEP // shared.batch_size)
    order = sorted(range(len(jobs)), key=lambda index: jobs[index].rate)
    for first in range(0, len(order), many):
        chosen = [jobs[index] for index in order[first : first + many]]
        models = [lookup.model_of(shared).build(job.seed) for job in chosen]
        for model, job in zip(models, chosen, strict=True):
            job.start(model, job.seed)
        found += train(
            models,
            [job.rate for job in chosen],
            [lookup.split_of(shared, job.seed) for job in chosen],
            lookup.data_of(shared),
            shared,
            advance=advance,
        )
    return [found[order.index(index)] for index in range(len(jobs))]
