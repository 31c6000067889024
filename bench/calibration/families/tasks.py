"""What the families learn, from what, and the loss below which one counts as trained."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn import datasets
from torch import Tensor, nn

from bench.calibration.families import images, others
from bench.calibration.families.grid import Cell
from bench.starts import data
from bench.starts.data import Data
from bench.starts.objectives import CLASSES, NUMBERS, Objective

NEIGHBOURS = 5  # of a node, itself included


def _raw_table() -> Data:
    """Diabetes, its targets as they are: 25 to 346."""
    raw = torch.from_numpy(datasets.load_diabetes().target).float()[:, None]
    return Data(data.table("diabetes").inputs, raw)


def _half_digits() -> Data:
    """The upper half of a digit, (N, 32), and the lower one."""
    flat = data.digits().inputs[0].flatten(1)
    return Data((flat[:, :32],), flat[:, 32:])


def _whole(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return inputs


def _nearest(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Digits of a batch as nodes, (n, 64), and edges to those that are near, (n, n)."""
    nodes = inputs[0].flatten(1)
    near = torch.cdist(nodes, nodes).topk(NEIGHBOURS, largest=False).indices
    edges = torch.zeros(len(nodes), len(nodes)).scatter_(1, near, 1.0)
    return nodes, torch.maximum(edges, edges.T)


@dataclass(frozen=True)
class Task:
    """`share` of the loss of the best answer that does not look at the inputs is the target."""

    build: Callable[[Cell], nn.Module]
    load: Callable[[], Data]
    objective: Objective = CLASSES
    share: float = 0.7
    batch: int = 16
    prepare: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]] = _whole

    @functools.cached_property
    def target(self) -> float:
        return self.share * self.objective.chance(self.load())

    def draw_batch(
        self, generator: torch.Generator, rows: int | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Inputs and targets of rows by chance; `batch` of them where not said."""
        inputs, targets = self.load()
        chosen = torch.randint(len(targets), (rows or self.batch,), generator=generator)
        return self.prepare(tuple(values[chosen] for values in inputs)), targets[chosen]


_mnist = functools.partial(data.mnist, images.SIDE)
_TASKS = {
    "cnn": Task(images.cnn, _mnist),
    "transformer": Task(images.transformer, _mnist),
    "mixer": Task(images.mixer, _mnist),
    "recurrent": Task(images.recurrent, _mnist),
    "graph": Task(others.graph, data.digits, batch=64, prepare=_nearest),
    "autoencoder": Task(
        others.autoencoder, functools.partial(data.same, "digits"), NUMBERS, batch=32
    ),
    "language": Task(
        others.language,
        functools.partial(data.next_characters, others.LENGTH),
        share=0.9,
    ),
    "regression table": Task(
        others.regression, functools.partial(data.table, "diabetes"), NUMBERS, batch=32
    ),
    "regression raw table": Task(others.regression, functools.cache(_raw_table), NUMBERS, batch=32),
    "regression image": Task(others.regression, functools.cache(_half_digits), NUMBERS, batch=32),
}


def task_of(cell: Cell) -> Task:
    """What a cell learns."""
    family = cell.family
    return _TASKS[f"{family} {cell.form}" if family == "regression" else family]
