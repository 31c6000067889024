"""Compare the verdict of `fanin check` before training with what the families' trials saw.

    python -m bench.calibration.families.report --half calibration    # print
    python -m bench.calibration.families.report                       # write calibration.md

The check sees the network of each cell's first seed, with the weights from which that was trained,
in train mode, and one batch with its targets, and is told the optimizer. A cell is flagged where
the checkup holds an error.
"""

import argparse
import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import track

import fanin
from bench.calibration import tables
from bench.calibration.cover import HALVES
from bench.calibration.families.grid import BY_NAME, CELLS, CHECKED, FAMILIES, RATES, SEEDS, Cell
from bench.calibration.families.starts import build, prepare
from bench.calibration.families.tasks import task_of
from bench.calibration.families.train import RESULTS, Trial, finished
from bench.calibration.tables import (
    PAGE,
    Judged,
    confusion,
    rules,
    share_right,
    table,
    written,
    wrong,
)
from fanin.checks import Checkup

PROGRESS = (0.0, 0.1, 0.5, 0.9, 1.0)  # of the way from chance to the target
KNOWN = 1170  # trials that were there when the last limits were chosen; those behind are fresh


class Run(NamedTuple):
    """A cell under an optimizer."""

    cell: Cell
    optimizer: str

    @property
    def name(self) -> str:
        return f"{self.cell.name}, {self.optimizer}"


Found = Sequence[Judged[Run]]


def check(cell: Cell, optimizer: str) -> Checkup:
    """The checkup of the cell's first network, before training."""
    inputs, targets = task_of(cell).draw_batch(torch.Generator().manual_seed(SEEDS[0]), CHECKED)
    return fanin.check(build(cell, SEEDS[0]).train(), inputs, targets, optimizer=optimizer)


def judge(trials: Sequence[Trial], look: Callable[[Cell, str], Checkup] = check) -> Found:
    """The trials of one cell beside its checkups."""
    runs = [Run(BY_NAME[trial.cell], trial.optimizer) for trial in trials]
    return [
        tables.judge(run, trial.trains, trial.lowest, look(*run))
        for run, trial in zip(runs, trials, strict=True)
    ]


def by_family(found: Found) -> str:
    """A row for every family and optimizer, and one for each of both together."""
    rows = [
        _row(family, optimizer, mine)
        for family in (*FAMILIES, "all")
        for optimizer in (*RATES, "both")
        if (mine := _of(found, family, optimizer))
    ]
    return table("family | optimizer | fail | flagged | train | without error", rows)


def by_progress(found: Found) -> str:
    """Of those that fail: how far they came from chance to the target, and how many are flagged."""
    failed = [each for each in found if not each.trains]
    rows = []
    for low, high in itertools.pairwise(PROGRESS):
        mine = [each for each in failed if low <= _progress(each) < high]
        rows.append([f"{low:.0%} to {high:.0%}", str(len(mine)), share_right(mine)])
    return table("of the way to the target | fail | flagged", rows)


def _progress(each: Judged[Run]) -> float:
    """The share of the way that the lowest loss had come; 0 where none was finite, or it rose."""
    task = task_of(each.cell.cell)
    chance = task.target / task.share
    came = 0.0 if each.lowest is None else (chance - each.lowest) / (chance - task.target)
    return min(max(came, 0.0), 0.999)  # of two seeds one alone may have reached it


def by_optimizer(found: Found) -> str:
    """A row for each optimizer."""
    rows = [_row("all", optimizer, _of(found, "all", optimizer))[1:] for optimizer in RATES]
    return table("optimizer | fail | flagged | train | without error", rows)


def _of(found: Found, family: str, optimizer: str) -> Found:
    return [
        each
        for each in found
        if family in (each.cell.cell.family, "all") and optimizer in (each.cell.optimizer, "both")
    ]


def _row(family: str, optimizer: str, mine: Found) -> list[str]:
    fail, train = ([each for each in mine if each.trains == trains] for trains in (False, True))
    return [
        *(family, optimizer),
        *(str(len(fail)), share_right(fail), str(len(train)), share_right(train)),
    ]


def parts(found: Found, networks: int, fresh: Collection[str]) -> Iterator[tuple[str, str]]:
    """What stands between the marks of the page, by name; `fresh` are names of runs."""
    cells = {each.cell.cell for each in found}
    half = {name: [one for one in found if one.cell.cell.half == name] for name in HALVES}
    yield (
        "families counts",
        f"{len(cells)} of {len(CELLS)} cells are trained, {networks} networks in all.\n",
    )
    for name, mine in half.items():
        yield f"families {name} matrix", confusion(mine)
        yield f"families {name} table", by_family(mine)
        yield f"families {name} wrong", wrong(mine)
    unseen = [each for each in found if each.cell.name in fresh]
    yield "families fresh matrix", confusion(unseen)
    yield "families progress", by_progress(found)
    yield "families fresh table", by_optimizer(unseen)
    yield "families rules", rules(half["report"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=["calibration"], help="print this half; write nothing")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    trials = finished(RESULTS)
    by_cell = [
        [trials[cell.name, optimizer] for optimizer in RATES]
        for cell in CELLS
        if all((cell.name, optimizer) in trials for optimizer in RATES)
        and arguments.half in (None, cell.half)
    ]
    with ProcessPoolExecutor(arguments.processes, initializer=prepare) as pool:
        console = Console(stderr=True)
        done = track(pool.map(judge, by_cell), "checks", len(by_cell), console=console)
        found = [each for judged in done for each in judged]
    if arguments.half:
        print(confusion(found), by_family(found), rules(found), wrong(found), sep="\n")
        return
    networks = sum(trial.networks for ours in by_cell for trial in ours)
    fresh = {Run(BY_NAME[name], optimizer).name for name, optimizer in [*trials][KNOWN:]}
    made = parts(found, networks, fresh)
    PAGE.write_text(written(PAGE.read_text("utf-8"), made), "utf-8")


if __name__ == "__main__":
    main()
