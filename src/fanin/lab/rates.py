"""The learning rate of each initializer: given, or swept over a grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from fanin.lab.settings import CompareSettings
from fanin.lab.setup import TrialSpec
from fanin.lab.training.trial import Trial


@dataclass(frozen=True)
class Tried:
    """One rate on the tuning seeds: how many trials failed, and the mean final loss of the others.

    The loss is that of training; infinite where all failed.
    """

    lr: float
    failed: int
    loss: float


@dataclass(frozen=True)
class Rate:
    """A row's learning rate, and what was tried to choose it; nothing where it was given."""

    lr: float
    tried: tuple[Tried, ...] = ()

    @property
    def at_edge(self) -> bool:
        """Whether the best rate may lie outside the grid."""
        rates = [rate.lr for rate in self.tried]
        return len(rates) > 1 and self.lr in (min(rates), max(rates))


def tuning_specs(settings: CompareSettings) -> list[TrialSpec]:
    """The trials that choose the rates: on seeds that the comparison itself does not use."""
    return [
        TrialSpec(settings.setup, name, seed, lr)
        for name in settings.initializers
        if name not in settings.given_rates
        for lr in settings.lr_grid
        for seed in settings.tuning_seeds
    ]


def choose(settings: CompareSettings, tuned: Mapping[TrialSpec, Trial]) -> dict[str, Rate]:
    """Each row's rate: the fewest failures on the tuning seeds, then the lowest training loss."""
    rates = {}
    for name in settings.initializers:
        given = settings.given_rates.get(name, settings.lr)
        tried = tuple(_try(settings, name, lr, tuned) for lr in settings.lr_grid)
        if not settings.lr_grid or name in settings.given_rates:
            rates[name] = Rate(given)
        else:
            rates[name] = Rate(min(tried, key=lambda rate: (rate.failed, rate.loss)).lr, tried)
    return rates


def _try(
    settings: CompareSettings, name: str, lr: float, tuned: Mapping[TrialSpec, Trial]
) -> Tried:
    specs = [TrialSpec(settings.setup, name, seed, lr) for seed in settings.tuning_seeds]
    trials: Sequence[Trial] = [tuned[spec] for spec in specs if spec in tuned]
    losses = [trial.final_loss for trial in trials if not trial.failed]
    return Tried(lr, len(trials) - len(losses), fmean(losses) if losses else float("inf"))
