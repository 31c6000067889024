"""One run: a model from a start, trained at a rate; the losses at the checkpoints."""

import copy
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.starts.architecture import Architecture
from bench.starts.objectives import Objective
from bench.starts.protocol import CHECKPOINTS, WINDOW, optimizer_of, rate_of
from bench.starts.starts import draw

SEEDS_KEPT = 14  # those of one start: rates and optimizers begin with the same weights


@functools.lru_cache(maxsize=SEEDS_KEPT)
def drawn(architecture: Architecture, start: str, seed: int) -> nn.Module:
    """The model that runs of this seed begin with; it is copied, never trained."""
    return draw(architecture, start, seed)


def train(
    architecture: Architecture, start: str, optimizer: str, power: int, seed: int, steps: int
) -> list[float | None]:
    """The mean figure of the last steps before each checkpoint; None where it was not finite."""
    model = copy.deepcopy(drawn(architecture, start, seed))
    model.train()
    order = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # of dropout and of what models draw
    descent = optimizer_of(optimizer, model.parameters(), rate_of(power))
    draw_batch = functools.partial(architecture.draw_batch, order)
    figures = descend(model, descent, architecture.objective, draw_batch, steps)
    return [_mean_before(figures, step) for step in CHECKPOINTS if step <= steps]


def descend(
    model: nn.Module,
    descent: Optimizer,
    objective: Objective,
    draw_batch: Callable[[], tuple[tuple[Tensor, ...], Tensor]],
    steps: int,
) -> list[float]:
    """The figure of every step, up to the first one that is not finite."""
    figures: list[float] = []
    for _ in range(steps):
        loss, figure = objective.step(model, *draw_batch())
        descent.zero_grad()
        loss.backward()
        descent.step()
        figures.append(figure.item())
        if not math.isfinite(figures[-1]):
            break
    return figures


def _mean_before(figures: list[float], step: int) -> float | None:
    """Six digits of the mean of the steps up to this one."""
    if len(figures) < step:
        return None
    mean = sum(figures[step - WINDOW : step]) / WINDOW
    return float(f"{mean:.6g}") if math.isfinite(mean) else None
