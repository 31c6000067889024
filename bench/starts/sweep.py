"""Run the trial, or go on with it: every architecture from every start.

    nice -n 19 python -m bench.starts.sweep [--half first] [--only PART-OF-A-NAME]

One thread. Start it again after any end: what bench/starts/runs has is not run again, but for
results of `auto` under rules that are no longer its. Several may run on one machine, each takes
the next architecture that no other has.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.lines import append, claimed
from bench.starts.architecture import Architecture
from bench.starts.architectures import ALL
from bench.starts.protocol import (
    FIRST_RATES,
    FRESH_SEEDS,
    STEPS,
    TUNING_SEEDS,
    TUNING_STEPS,
    choose,
    prepare_torch,
    walk,
)
from bench.starts.records import FOLDER, Cell, path_of, read
from bench.starts.starts import STARTS, rules_of
from bench.starts.train import drawn, train
from fanin.errors import one_line


@dataclass(frozen=True)
class Sweep:
    """The cells of one architecture: those in its file are taken from it, others are run."""

    architecture: Architecture
    path: Path

    def run(self) -> None:
        """All optimizers and starts; each start's rates, then its fresh seeds."""
        for optimizer in self.architecture.optimizers:
            for start in STARTS:
                self._run_start(optimizer, start)

    def _run_start(self, optimizer: str, start: str) -> None:
        rules, raised = self._try(start)
        if raised:
            power = FIRST_RATES[optimizer][0]
            self._find(Cell(optimizer, start, "tuning", power, rules, raised=raised), list)
            return

        def losses(phase: str, power: int) -> list[list[float | None]]:
            seeds = FRESH_SEEDS.get(phase, TUNING_SEEDS)
            steps = STEPS if phase in FRESH_SEEDS else TUNING_STEPS
            return self._find(
                Cell(optimizer, start, phase, power, rules),
                lambda: [
                    train(self.architecture, start, optimizer, power, seed, steps) for seed in seeds
                ],
            ).losses

        def score(power: int) -> float:
            rows = losses("tuning", power)
            return sum(math.inf if row[0] is None else row[0] for row in rows) / len(rows)

        chosen = choose(walk(FIRST_RATES[optimizer], score))
        for phase, power in zip(FRESH_SEEDS, chosen, strict=True):
            losses(phase, power)

    def _try(self, start: str) -> tuple[str | None, str | None]:
        """The digest of the start's rules, and what it raises, if it does."""
        before = [cell for cell in read(self.path) if cell.start == start]
        try:
            rules = rules_of(self.architecture, start)
            if before and before[-1].rules == rules:
                return rules, before[-1].raised
            drawn(self.architecture, start, TUNING_SEEDS[0])
        except Exception as error:  # a start that does not know the model is a result, too
            return None, one_line(error, named=True)
        return rules, None

    def _find(self, asked: Cell, run: Callable[[], list[list[float | None]]]) -> Cell:
        """The cell of the file, or a new one that is written to it."""
        for cell in read(self.path):
            if (cell.key, cell.rules) == (asked.key, asked.rules):
                return cell
        began = time.process_time()
        losses = run()
        seconds = round(time.process_time() - began, 2)
        made = Cell(*asked.key, asked.rules, losses, asked.raised, seconds)
        append(self.path, made)
        return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--half", choices=("first", "second"), help="only this half")
    parser.add_argument("--only", default="", help="architectures whose name contains this")
    arguments = parser.parse_args()
    prepare_torch()
    warnings.simplefilter("ignore")  # of libraries, at models that are so small
    chosen = [
        one for one in ALL if arguments.only in one.name and arguments.half in (None, one.half)
    ]
    for number, architecture in enumerate(chosen, 1):
        path = path_of(architecture.name, arguments.out)
        with claimed(path) as mine:
            if not mine:
                continue
            began = time.process_time()
            Sweep(architecture, path).run()
        seconds = time.process_time() - began
        print(f"{number} of {len(chosen)}: {architecture.name}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
