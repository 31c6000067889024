"""Compare the verdict of `fanin check` before training with what bench/calibration/train.py saw.

    python -m bench.calibration.report --half calibration    # print; limits may be chosen by it
    python -m bench.calibration.report                       # write docs/check/calibration.md

The check sees the network of each cell's first seed, with the weights from which that was trained,
in train mode, and one batch of its images with their labels. A cell is flagged where the checkup
holds an error.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import fanin
from bench.calibration.cover import HALVES
from bench.calibration.grid import (
    CELLS,
    CHECKED_IMAGES,
    COMMON,
    OPTIMIZER,
    RATES,
    SEEDS,
    Cell,
    trains,
)
from bench.calibration.networks import build
from bench.calibration.tables import (
    PAGE,
    Judged,
    confusion,
    judge,
    matrix,
    rules,
    table,
    written,
    wrong,
)
from bench.calibration.train import RESULTS, batches, finished
from fanin.checks import Checkup

DEPTHS = (4, 8, 16, 32, 64, 100)  # the last of each class


def check(cell: Cell) -> Checkup:
    """The checkup of the cell's first network, before training."""
    images, labels = batches(cell.data, 0, CHECKED_IMAGES, SEEDS[:1])
    return fanin.check(build(cell, SEEDS[0]), images[0], labels[0], optimizer=OPTIMIZER)


def judged(record: Mapping[str, Any], look: Callable[[Cell], Checkup] = check) -> Judged[Cell]:
    """A cell's result beside its checkup."""
    cell = Cell(**record["cell"])
    return judge(cell, trains(record["reached"]), record["lowest"], look(cell))


def strata(found: Sequence[Judged[Cell]]) -> str:
    """A row for every level of every factor."""
    factors: dict[str, Callable[[Cell], str]] = {
        "data": lambda cell: cell.data,
        "hidden layers": lambda cell: _class_of(cell.depth),
        "width": lambda cell: str(cell.width),
        "activation": lambda cell: cell.activation,
        "normalization": lambda cell: cell.normalization,
        "residual": lambda cell: "yes" if cell.residual else "no",
        "start": lambda cell: _family(cell.start),
    }
    rows = []
    for factor, level_of in factors.items():
        groups: dict[str, list[Judged[Cell]]] = {}
        for one in found:
            groups.setdefault(level_of(one.cell), []).append(one)
        rows += [[factor, level, *matrix(groups[level])] for level in sorted(groups, key=_natural)]
    return table("factor | level | fail | flagged | train | without error", rows)


def _class_of(depth: int) -> str:
    last = next(one for one in DEPTHS if depth <= one)
    first = DEPTHS[DEPTHS.index(last) - 1] + 1 if last != DEPTHS[0] else 1
    return f"{first} to {last}"


def _family(start: str) -> str:
    plain = start.rstrip("0123456789.").rstrip(" -")
    return start if start in COMMON or start == plain else f"{plain} ..."


def _natural(level: str) -> tuple[int, str]:
    first = level.split()[0]
    return (int(first) if first.isdigit() else 0), level


def parts(found: Sequence[Judged[Cell]]) -> Iterator[tuple[str, str]]:
    """What stands between the marks of the page, by name."""
    by_half = {half: [one for one in found if one.cell.half == half] for half in HALVES}
    networks = len(found) * len(RATES) * len(SEEDS)
    yield (
        "counts",
        (
            f"{len(found)} of {len(CELLS)} cells are trained, {len(by_half['calibration'])} for "
            f"calibration and {len(by_half['report'])} for the report: {networks} networks.\n"
        ),
    )
    for half, mine in by_half.items():
        yield f"{half} matrix", confusion(mine)
        yield f"{half} wrong", wrong(mine)
    yield "strata", strata(by_half["report"])
    yield "rules", rules(by_half["report"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--half", choices=["calibration"], help="print this half; write nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    records = finished(arguments.results)
    cells = [cell for cell in CELLS if cell.name in records]
    if arguments.half:
        mine = [judged(records[cell.name]) for cell in cells if cell.half == arguments.half]
        print(confusion(mine), strata(mine), rules(mine), wrong(mine), sep="\n")
        return
    page = written(PAGE.read_text("utf-8"), parts([judged(records[cell.name]) for cell in cells]))
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
