"""The protocol of bench/starts/README.md in numbers: steps, seeds, rates, optimizers."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

TUNING_STEPS = 100
STEPS = 300
CHECKPOINTS = (100, 300)
WINDOW = 20
TUNING_SEEDS = range(2)
# Of the best rate and of its neighbour: twelve pairs, none of which shares a seed with another.
FRESH_SEEDS = {"best": range(100, 106), "neighbour": range(106, 112)}

# Rates are 10^(k/2). Three are tried first; where the best is at an end, the next one beyond it is.
FIRST_RATES = {"adamw": (-7, -6, -5), "sgd": (-5, -4, -3)}
LOWEST, HIGHEST = -12, 0

# Losses count within these shares of chance: above, nothing was learned; below, all is alike.
FLOOR, CEILING = 0.01, 1.0
FAILED = 0.98  # of chance: a run that does not get below it has not trained


def rate_of(power: int) -> float:
    """The learning rate 10^(power/2)."""
    return float(10 ** (power / 2))


def optimizer_of(name: str, parameters: Iterable[Tensor], rate: float) -> Optimizer:
    """torch's defaults but for the rate; momentum 0.9."""
    if name == "sgd":
        return SGD(parameters, rate, momentum=0.9, fused=True)
    return AdamW(parameters, rate, fused=True)


def bound(loss: float | None, chance: float) -> float:
    """A loss within what counts; chance where it was not finite."""
    return chance if loss is None else min(max(loss, FLOOR * chance), CEILING * chance)


def walk(first: Iterable[int], score: Callable[[int], float]) -> dict[int, float]:
    """Scores of rates: of the first ones, and on while the best is at an end. Lower is better."""
    scores = {power: score(power) for power in first}
    while True:
        best = choose(scores)[0]
        beyond = {best - 1, best + 1} - set(scores)
        if not beyond or not LOWEST <= (power := beyond.pop()) <= HIGHEST:
            return scores
        scores[power] = score(power)


def choose(scores: Mapping[int, float]) -> tuple[int, int]:
    """The best rate, and the better of those beside it; of equal ones the lower."""
    best = min(sorted(scores), key=scores.__getitem__)
    beside = [power for power in (best - 1, best + 1) if power in scores]
    return best, min(beside, key=scores.__getitem__)


def prepare_torch() -> None:
    """One thread, so that processes may share a machine; denormal numbers as zero."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
