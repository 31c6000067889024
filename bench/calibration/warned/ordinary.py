"""What `fanin check` says of the hundred architectures of bench/starts, from their own starts."""

import torch
from torch import Tensor, nn

import fanin
from bench.starts import objectives
from bench.starts.architecture import EXAMPLE, Architecture
from bench.starts.protocol import FRESH_SEEDS, bound
from bench.starts.records import current, path_of, read
from bench.starts.starts import draw
from fanin.checks import Checkup


class _Whole(nn.Module):
    """A model and its loss, which runs it more than once or takes derivatives of it."""

    def __init__(self, architecture: Architecture, model: nn.Module) -> None:
        super().__init__()
        self.step, self.model = architecture.objective.step, model

    def forward(self, *batch: Tensor) -> Tensor:
        return self.step(self.model, batch[:-1], batch[-1])[0]


def check(start: str, architecture: Architecture, optimizer: str) -> Checkup:
    """The checkup of an architecture from a start, on a batch as it is trained on."""
    model = draw(architecture, start, EXAMPLE).train()
    inputs, targets = architecture.draw_batch(torch.Generator().manual_seed(EXAMPLE))
    if architecture.objective in (objectives.EQUATION, objectives.ACTOR_CRITIC):
        whole = _Whole(architecture, model)
        return fanin.check(whole, (*inputs, targets), loss=lambda out: out, optimizer=optimizer)

    def loss(out: Tensor, targets: Tensor) -> Tensor:
        return architecture.objective.step(lambda *_: out, inputs, targets)[0]

    return fanin.check(model, inputs, targets, loss, optimizer=optimizer)


def losses_of(architecture: Architecture) -> tuple[list[float], list[float]] | None:
    """Losses from its own start and from `auto`, each at its best rates, of the same seeds.

    After all steps, with AdamW, as shares of chance; None where bench/starts has not trained both.
    """
    cells = current(read(path_of(architecture.name))).values()
    own, auto = (
        [
            bound(row[-1], architecture.chance) / architecture.chance
            for phase in FRESH_SEEDS
            for cell in cells
            if (cell.optimizer, cell.start, cell.phase) == ("adamw", start, phase)
            for row in cell.losses
        ]
        for start in ("own", "auto")
    )
    return (own, auto) if own and len(own) == len(auto) else None
