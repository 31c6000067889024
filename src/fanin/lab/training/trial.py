"""A trial: one network trained from one seed, and what came of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fanin.lab.data.dataset import Dataset, Split
from fanin.lab.interrupted import Interrupted
from fanin.lab.setup import TrialSetup
from fanin.lab.training import losses as lab_losses
from fanin.lab.training.checkpoint import Checkpoint
from fanin.lab.training.optimization import Optimization
from fanin.lab.training.signals import NOT_MEASURED, Signals
from fanin.lab.training.single import Single
from fanin.lab.training.stack import Stack

# Larger pieces are slower: their activations are returned to the system and faulted in again.
AT_ONCE = 200  # inputs that are tested
DIVERGED = 2.0  # times the loss of guessing

TrialVerdict = Literal["learned", "stuck", "diverged", "nan"]


@dataclass(frozen=True, eq=False)
class Trial:
    """The training loss at every step, the test score at every checkpoint, and the verdict.

    The score is the accuracy, or R**2. The verdict is `nan` where a loss was not finite,
    `diverged` where the last running mean is above twice the loss of guessing, and `stuck` where
    it never left the loss of guessing.
    """

    seed: int
    losses: NDArray[np.float32]
    scores: tuple[float, ...]
    verdict: TrialVerdict
    window: int
    signals: Signals = NOT_MEASURED

    def curve(self, steps: Sequence[int]) -> NDArray[np.float64]:
        """The running mean of the training loss after these steps."""
        means = running_mean(self.losses, self.window)
        return np.asarray(means[np.asarray(steps) - self.window])

    def steps_to(self, target: float) -> int | None:
        """The step whose running mean is first at or below the target; None if none is."""
        reached = np.flatnonzero(running_mean(self.losses, self.window) <= target)
        return self.window + int(reached[0]) if len(reached) else None

    @property
    def final_loss(self) -> float:
        """The last running mean of the training loss."""
        return float(running_mean(self.losses[-self.window :], self.window)[-1])

    @property
    def score(self) -> float:
        """The test score at the end of training."""
        return self.scores[-1]

    @property
    def failed(self) -> bool:
        """Whether the training diverged or stayed no better than guessing."""
        return self.verdict != "learned"


def train(
    models: Sequence[nn.Module],
    rates: Sequence[float],
    splits: Sequence[Split],
    data: Dataset,
    setup: TrialSetup,
    *,
    stacked: bool = True,
    device: str = "cpu",
    advance: Callable[[int], object] = lambda steps: None,
    checkpoint: Checkpoint | None = None,
) -> list[Trial]:
    """Train all models together, each on its own split; `advance` hears of the steps taken.

    `stacked` False takes one model alone. With a checkpoint the training goes on from the state
    that it has, to the same bits, and leaves its own there again and again. Where Ctrl-C ends it,
    Interrupted has the trials, cut short at the step that it came at.
    """
    kind = Stack if stacked else Single
    trainer = kind(models, rates, Optimization.of(setup), device)
    inputs = torch.from_numpy(data.inputs).to(device)
    targets = lab_losses.targets(setup.loss, data).to(device)
    labels = torch.from_numpy(data.labels).to(device)
    tests = [torch.from_numpy(split.test).to(device) for split in splits]
    orders = torch.from_numpy(np.stack([split.order for split in splits])).to(device)

    def test() -> list[float]:
        return [
            lab_losses.score(_outputs(trainer, index, inputs[part]), labels[part])
            for index, part in enumerate(tests)
        ]

    losses: list[Tensor] = []
    scores: list[list[float]] = []
    state = None if checkpoint is None else checkpoint.load()
    if state is not None and _fits(trainer, state):
        losses, scores = _restore(trainer, state, device)
        advance(len(models) * len(losses))
    try:
        for batch in _batches(orders, setup.batch_size, first=len(losses)):
            losses.append(trainer.step(inputs[batch], targets[batch]))
            advance(len(models))
            if len(losses) in setup.checkpoints:
                scores.append(test())
            if checkpoint is not None and checkpoint.is_due:
                checkpoint.save(_state(trainer, losses, scores, device))
    except KeyboardInterrupt:
        if len(losses) < setup.window:
            raise
        raise Interrupted(_judge(losses, [*scores, test()], splits, data, setup)) from None
    return _judge(losses, scores, splits, data, setup)


def _batches(orders: Tensor, size: int, first: int) -> Iterator[Tensor]:
    """Indices (models, batch) of every step from `first` on, of orders (models, epochs, train)."""
    every = (batch for epoch in orders.unbind(dim=1) for batch in epoch.split(size, dim=1))  # type: ignore[no-untyped-call]
    return islice(every, first, None)


def _state(
    trainer: Stack | Single, losses: list[Tensor], scores: list[list[float]], device: str
) -> dict[str, Tensor]:
    """All that the rest of a training depends on, and what it has come to so far."""
    chance = {"chance/cpu": torch.get_rng_state()}
    if device == "cuda":
        chance["chance/cuda"] = torch.cuda.get_rng_state()
    found = {"losses": torch.stack(losses), "scores": torch.tensor(scores, dtype=torch.float64)}
    return trainer.state() | chance | found


def _fits(trainer: Stack | Single, state: Mapping[str, Tensor]) -> bool:
    """Whether it is of such models: a factory may import what has changed since."""
    own = {name: (value.shape, value.dtype) for name, value in trainer.state().items()}
    held = {name: (value.shape, value.dtype) for name, value in state.items()}
    return all(held.get(name) == kind for name, kind in own.items())


def _restore(
    trainer: Stack | Single, state: Mapping[str, Tensor], device: str
) -> tuple[list[Tensor], list[list[float]]]:
    """Give a trainer its state back; returns the losses and the scores so far."""
    trainer.restore(state)
    torch.set_rng_state(state["chance/cpu"])
    if device == "cuda":
        torch.cuda.set_rng_state(state["chance/cuda"])
    return list(state["losses"].to(device)), state["scores"].tolist()


def _outputs(trainer: Stack | Single, index: int, inputs: Tensor) -> Tensor:
    parts = inputs.split(AT_ONCE)  # type: ignore[no-untyped-call]
    return torch.cat([trainer.evaluate(index, part) for part in parts])


def _judge(
    losses: list[Tensor],
    scores: list[list[float]],
    splits: Sequence[Split],
    data: Dataset,
    setup: TrialSetup,
) -> list[Trial]:
    curves = torch.stack(losses, dim=1).cpu().numpy()
    return [
        Trial(split.seed, curve, tuple(history), _verdict(curve, data, setup), setup.window)
        for split, curve, history in zip(splits, curves, zip(*scores, strict=True), strict=True)
    ]


def _verdict(losses: NDArray[np.float32], data: Dataset, setup: TrialSetup) -> TrialVerdict:
    if not np.isfinite(losses).all():
        return "nan"
    final = float(running_mean(losses[-setup.window :], setup.window)[-1])
    if final > DIVERGED * lab_losses.guess(setup.loss, data):
        return "diverged"
    return "stuck" if final > lab_losses.never_left(setup.loss, data) else "learned"


def running_mean(losses: NDArray[np.float32], window: int) -> NDArray[np.float64]:
    """Means over `window` neighbours: entry k covers steps k + 1 .. k + window."""
    windows = np.lib.stride_tricks.sliding_window_view(losses, window)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(windows.mean(axis=-1, dtype=np.float64))
