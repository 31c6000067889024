"""Train the networks of the eight families and note which of them reach their target.

    nice python -m bench.calibration.families.train [--share 1/2] [--only PART-OF-A-NAME]

One thread, some three hours of a core. What RESULTS has (JSON lines, one for a cell under an
optimizer) is not trained again: start it again after any end. Several may run beside each other,
each on its share of the cells. Then `python -m bench.calibration.families.report`.
"""

import argparse
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bench.calibration.families.grid import CELLS, RATES, SEEDS, STEPS, WINDOW, Cell
from bench.calibration.families.starts import build, prepare
from bench.calibration.families.tasks import task_of
from bench.lines import append, whole_lines
from bench.starts.protocol import optimizer_of

RESULTS = Path(__file__).with_name("trials.jsonl")


@dataclass(frozen=True)
class Trial:
    """A cell under an optimizer; rows are of the rates in their order, as far as they were tried.

    `reached` has in a row the step at which each seed reached the target, 0 for never, and
    `lowest` the lowest mean losses, None for none that was finite.
    """

    cell: str
    optimizer: str
    reached: list[list[int]] = field(default_factory=list)
    lowest: list[list[float | None]] = field(default_factory=list)

    @property
    def trains(self) -> bool:
        """Do two seeds reach the target at one rate?"""
        return any(sum(step > 0 for step in row) >= 2 for row in self.reached)

    @property
    def networks(self) -> int:
        return sum(map(len, self.reached))


def train(cell: Cell, optimizer: str, rate: float, seed: int) -> tuple[int, float | None]:
    """The step at which the running mean of the loss reached the target, and its lowest."""
    task, model = task_of(cell), build(cell, seed).train()
    order = torch.Generator().manual_seed(seed)
    descent = optimizer_of(optimizer, model.parameters(), rate)
    lowest, losses = math.inf, deque[float](maxlen=WINDOW)
    for step in range(1, STEPS + 1):
        loss, _ = task.objective.step(model, *task.draw_batch(order))
        descent.zero_grad()
        loss.backward()
        descent.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            break
        if step >= WINDOW:
            lowest = min(lowest, sum(losses) / WINDOW)
        if lowest <= task.target:
            return step, _short(lowest)
    return 0, _short(lowest)


def _short(loss: float) -> float | None:
    return float(f"{loss:.4g}") if math.isfinite(loss) else None


def try_out(cell: Cell, optimizer: str) -> Trial:
    """Rate by rate until the cell trains; at each two seeds, and a third where they disagree."""
    trial = Trial(cell.name, optimizer)
    for rate in RATES[optimizer]:
        reached: list[int] = []
        lowest: list[float | None] = []
        trial.reached.append(reached)
        trial.lowest.append(lowest)
        for seed in SEEDS:
            if len(reached) == 2 and (reached[0] > 0) == (reached[1] > 0):
                break
            step, least = train(cell, optimizer, rate, seed)
            reached.append(step)
            lowest.append(least)
        if trial.trains:
            break
    return trial


def finished(path: Path = RESULTS) -> dict[tuple[str, str], Trial]:
    """The trials of a file, by cell and optimizer."""
    trials = (Trial(**record) for record in whole_lines(path))
    return {(trial.cell, trial.optimizer): trial for trial in trials}


def _left(only: str, share: str, path: Path) -> Iterator[tuple[Cell, str]]:
    number, of = map(int, share.split("/"))
    done = finished(path)
    for cell in CELLS[number - 1 :: of]:
        for optimizer in RATES:
            if only in cell.name and (cell.name, optimizer) not in done:
                yield cell, optimizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--share", default="1/1", help="2/3: the second third of the cells")
    arguments = parser.parse_args()
    prepare()
    left = list(_left(arguments.only, arguments.share, arguments.out))
    for number, (cell, optimizer) in enumerate(left, 1):
        trial = try_out(cell, optimizer)
        append(arguments.out, trial)
        verdict = "trains" if trial.trains else "fails"
        print(f"{number} of {len(left)}: {cell.name}, {optimizer}: {verdict}", flush=True)


if __name__ == "__main__":
    main()
