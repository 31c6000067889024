"""Does chaos tell which networks fail? Measured on both calibration halves.

    python -m bench.calibration.chaos      # a minute; writes its table into calibration.md

Every input is moved a thousandth of its way to another input. How far the output moves, over a
thousandth of its way to the other output, is 1 of a linear network; above 1, near inputs part
faster than others (Poole et al. 2016). Inputs of whole numbers have no near ones, and are left out.
"""

import math
from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.calibration import grid, networks, train
from bench.calibration.families.grid import CELLS, CHECKED, RATES, SEEDS
from bench.calibration.families.starts import build, prepare
from bench.calibration.families.tasks import task_of
from bench.calibration.families.train import RESULTS, finished
from bench.calibration.tables import PAGE, table, written

WAY = 1e-3
ROUNDED = 1e-5  # of the output's size: what differs by less is rounding
BANDS = (2.0, 10.0, 30.0, 100.0, math.inf)


def measure(model: nn.Module, inputs: tuple[Tensor, ...]) -> float | None:
    """How much faster near inputs part than others.

    None where numbers are not finite, or where outputs differ by their rounding alone.
    """
    first, *rest = inputs
    with torch.no_grad():
        before = model(first, *rest).double()
        after = model(first + WAY * (first.roll(1, 0) - first), *rest).double()
    near, far = after - before, before.roll(1, 0) - before
    found = float(near.norm() / (WAY * far.norm()))
    if not math.isfinite(found) or near.norm() < ROUNDED * before.norm():
        return None
    return found


def _measured() -> Iterator[tuple[float | None, bool]]:
    """Of every cell, and optimizer, what is measured and whether it trains."""
    records = train.finished(train.RESULTS)
    images = {
        data: train.batches(data, 0, CHECKED, grid.SEEDS[:1])[0][0] for data in grid.LEVELS["data"]
    }
    for plain in grid.CELLS:
        if plain.half == "calibration" and plain.name in records:
            model = networks.build(plain, grid.SEEDS[0])
            trains = grid.trains(records[plain.name]["reached"])
            yield measure(model, (images[plain.data],)), trains
    trials = finished(RESULTS)
    for cell in CELLS:
        told = [trials.get((cell.name, optimizer)) for optimizer in RATES]
        inputs, _ = task_of(cell).draw_batch(torch.Generator().manual_seed(SEEDS[0]), CHECKED)
        if cell.half == "calibration" and all(told) and inputs[0].is_floating_point():
            found = measure(build(cell, SEEDS[0]).train(), inputs)
            yield from ((found, trial.trains) for trial in told if trial is not None)


def main() -> None:
    prepare()
    counts: Counter[tuple[float, bool]] = Counter()
    for value, trains in _measured():
        if value is not None:
            counts[next(band for band in BANDS if value <= band), trains] += 1
    rows = [
        [
            f"up to {band:g}" if band < math.inf else "more",
            *(str(counts[band, trains]) for trains in (False, True)),
        ]
        for band in BANDS
    ]
    made = table("near inputs part faster, times | fail | train", rows)
    PAGE.write_text(written(PAGE.read_text("utf-8"), [("chaos", made)]), "utf-8")


if __name__ == "__main__":
    main()
