"""The one training loop of this study."""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from fanin.studies._study import Advance

FIRST_SEED = 10  # with seeds below it rates and numbers of steps were tried out


def train(
    model: nn.Module,
    loss: Callable[[nn.Module, int], Tensor],
    optimizer: torch.optim.Optimizer,
    steps: int,
    advance: Advance,
) -> list[float | None]:
    """The loss of every step, before it; None from the first that is not finite on.

    `loss(model, step)` is the loss on that step's batch. `advance` hears of every step.
    """
    found: list[float | None] = []
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        value = loss(model, step)
        told = float(value.detach())
        if not math.isfinite(told):
            advance(steps - step)
            return found + [None] * (steps - step)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.append(told)
        advance(1)
    return found


def end(losses: Iterable[float | None], window: int = 20) -> float:
    """The mean of the last losses; infinite where the run diverged."""
    last = list(losses)[-window:]
    return math.inf if None in last else sum(map(float, last)) / len(last)  # type: ignore[arg-type]
