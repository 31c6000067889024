"""Train the networks of calibration_grid.py and note which of them reach the target.

    python -m bench.calibration.train [--out FILE] [--only PART-OF-A-NAME]

One thread, less than an hour. Finished cells are kept in FILE (JSON lines), and the same command
goes on. The networks of all cells of one shape, rates and seeds are trained side by side by the
lab's stack; those of a cell leave it as soon as the cell trains, or its losses are all infinite or
NaN, for more steps change no answer. `reached` has a row for each rate and in it the step for each
seed, 0 for not yet; `lowest` has the lowest mean losses.
Then `python -m bench.calibration.report` compares this with what the check says.
"""

import argparse
import functools
import itertools
import json
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.calibration.grid import (
    BATCH,
    IMAGES,
    OPTIMIZER,
    RATES,
    SEEDS,
    STEPS,
    TARGET,
    WINDOW,
    Cell,
    stacks,
    trains,
)
from bench.calibration.networks import build
from fanin.lab.data import sources
from fanin.lab.data.dataset import Dataset, split
from fanin.lab.training.optimization import Optimization
from fanin.lab.training.stack import Stack

Array = np.ndarray[Any, Any]
RESULTS = Path(__file__).with_name("trials.jsonl")


@functools.cache
def load(name: str) -> Dataset:
    """A data set, read once."""
    return sources.load(name)


@functools.cache
def order(name: str, seed: int) -> Tensor:
    """The images that a seed trains on, in their order, (epochs * IMAGES,)."""
    epochs = -(-STEPS * BATCH // IMAGES)
    return torch.from_numpy(split(load(name), IMAGES, 1, epochs, seed).order.reshape(-1))


def batches(name: str, first: int, count: int, seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
    """`count` images from place `first` in each seed's order, (seeds, count, 1, 28, 28); labels."""
    places = torch.stack([order(name, seed)[first : first + count] for seed in seeds])
    data = load(name)
    return torch.from_numpy(data.inputs)[places], torch.from_numpy(data.labels)[places]


class Shrinking(Stack):
    """A stack that networks can leave."""

    def keep(self, stays: Tensor) -> None:
        """Go on with these networks alone, of every rate some, each with its optimizer's state."""
        state, before = self._optimizer.state, self._views
        rates = [group["lr"] for group in self._optimizer.param_groups]
        parts = [stays[part] for part in self._slices]
        ends = list(itertools.accumulate(int(part.sum()) for part in parts))
        self.parameters = {name: value[stays] for name, value in self.parameters.items()}
        self.buffers = {name: value[stays] for name, value in self.buffers.items()}
        self._slices = [slice(*pair) for pair in itertools.pairwise([0, *ends])]
        self._views = [[value[part] for value in self.parameters.values()] for part in self._slices]
        self._optimizer = self.optimization.optimizer(
            [{"params": views, "lr": rate} for views, rate in zip(self._views, rates, strict=True)]
        )
        for part, old, new in zip(parts, before, self._views, strict=True):
            for one, other in zip(old, new, strict=True):
                self._optimizer.state[other] = {
                    key: value[part] if value.ndim else value for key, value in state[one].items()
                }


def train(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """The results of cells of one shape: when each network reached the target, its lowest loss."""
    runs = list(itertools.product(RATES, cells, SEEDS))
    started = [build(cell, seed) for _, cell, seed in runs]
    optimization = Optimization("cross_entropy", OPTIMIZER)
    stack = Shrinking(started, [rate for rate, _, _ in runs], optimization, "cpu")
    seeds = np.array([seed for _, _, seed in runs])
    reached = np.zeros(len(runs), int)  # 0: not yet
    lowest = np.full(len(runs), np.inf)
    places = np.arange(len(runs))  # of the networks that are still in the stack
    losses: deque[Array] = deque(maxlen=WINDOW)
    for step in range(1, STEPS + 1):
        batch = batches(cells[0].data, (step - 1) * BATCH, BATCH, seeds[places].tolist())
        losses.append(stack.step(*batch).numpy())
        if step >= WINDOW:
            means = np.mean(losses, axis=0)
            lowest[places] = np.fmin(lowest[places], means)
            reached[places[(reached[places] == 0) & (means <= TARGET)]] = step
        finite = np.zeros(len(runs), bool)
        finite[places] = np.isfinite(losses[-1])
        goes_on = np.array(
            [on.any() and not trains(row.tolist()) for row, on in _by_cell(reached, finite)]
        )
        stays = np.broadcast_to(goes_on[:, None], (len(RATES), len(cells), len(SEEDS))).ravel()
        stays = stays[places]
        if not stays.any():
            break
        if not stays.all():
            stack.keep(torch.from_numpy(stays))
            places = places[stays]
            losses = deque((loss[stays] for loss in losses), maxlen=WINDOW)
    return [
        {"cell": asdict(cell), "reached": row.tolist(), "lowest": _plain(least)}
        for cell, (row, least) in zip(cells, _by_cell(reached, lowest), strict=True)
    ]


def _by_cell(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """For each cell its part of every array, (rates, seeds)."""
    parts = [array.reshape(len(RATES), -1, len(SEEDS)).swapaxes(0, 1) for array in arrays]
    return zip(*parts, strict=True)


def _plain(losses: Array) -> list[list[float | None]]:
    """Four digits; None where no mean was finite."""
    return [
        [float(f"{loss:.4g}") if math.isfinite(loss) else None for loss in row] for row in losses
    ]


def finished(path: Path) -> dict[str, dict[str, Any]]:
    """The results in a file, by the cell's name."""
    lines = path.read_text().splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    return {Cell(**record["cell"]).name: record for record in records}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only", default="", help="cells whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # gradients below 1e-38 would make a step a hundred times slower
    done = finished(arguments.out)
    wanted = [[cell for cell in cells if arguments.only in cell.name] for cells in stacks()]
    left = [cells for cells in wanted if any(cell.name not in done for cell in cells)]
    for number, cells in enumerate(left, 1):
        records = train(cells)
        with arguments.out.open("a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
        for cell, record in zip(cells, records, strict=True):
            verdict = "trains" if trains(record["reached"]) else "fails"
            print(f"{number} of {len(left)}: {cell.name} {verdict}", flush=True)


if __name__ == "__main__":
    main()
