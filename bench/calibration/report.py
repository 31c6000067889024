"""Compare the verdict of `fanin check` before training with what bench/calibration/train.py saw.

    python -m bench.calibration.report --half calibration    # print; limits may be chosen by it
    python -m bench.calibration.report                       # write docs/check/calibration.md

The check sees the network of each cell's first seed, with the weights from which that was trained,
in train mode, and one batch of its images with their labels. A cell is flagged where the checkup
holds an error.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from scipy.stats import binomtest

import fanin
from bench.calibration.grid import CELLS, CHECKED_IMAGES, COMMON, RATES, SEEDS, Cell, trains
from bench.calibration.networks import build
from bench.calibration.train import RESULTS, batches, finished
from fanin.checks import Checkup

PAGE = Path(__file__).parents[2] / "docs" / "check" / "calibration.md"
DEPTHS = (4, 8, 16, 32, 64, 100)  # the last of each class


class Judged(NamedTuple):
    """A cell, what training came to, and the rules that spoke before it."""

    cell: Cell
    trains: bool
    lowest: float | None  # running mean of the training loss, over all rates and seeds
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def right(self) -> bool:
        """Flagged and fails, or neither."""
        return self.trains != bool(self.errors)


def check(cell: Cell) -> Checkup:
    """The checkup of the cell's first network, before training."""
    images, labels = batches(cell.data, 0, CHECKED_IMAGES, SEEDS[:1])
    return fanin.check(build(cell, SEEDS[0]), images[0], labels[0])


def judged(record: Mapping[str, Any], look: Callable[[Cell], Checkup] = check) -> Judged:
    """A cell's result beside its checkup."""
    cell = Cell(**record["cell"])
    losses = [loss for row in record["lowest"] for loss in row if loss is not None]
    findings = look(cell).findings
    errors, warnings = (
        tuple(sorted({one.id for one in findings if one.severity == level}))
        for level in ("error", "warning")
    )
    return Judged(cell, trains(record["reached"]), min(losses, default=None), errors, warnings)


def matrix(found: Sequence[Judged]) -> list[str]:
    """How many fail, how many of them are flagged; how many train, how many of them are not."""
    return [*_share(found, trained=False), *_share(found, trained=True)]


def _share(found: Sequence[Judged], *, trained: bool) -> tuple[str, str]:
    mine = [one for one in found if one.trains == trained]
    right = sum(one.right for one in mine)
    return str(len(mine)), f"{right} ({right / len(mine):.0%})" if mine else "-"


def confusion(found: Sequence[Judged]) -> str:
    """The whole matrix, with 95 % intervals (Wilson) of the share that is right."""
    rows = []
    for name, trained in (("fails to train", False), ("trains", True)):
        mine = [one for one in found if one.trains == trained]
        flagged = sum(bool(one.errors) for one in mine)
        right = len(mine) - flagged if trained else flagged
        interval = binomtest(right, len(mine)).proportion_ci(method="wilson") if mine else (0, 1)
        rows.append(
            [
                name,
                str(flagged),
                str(len(mine) - flagged),
                f"{right / max(len(mine), 1):.1%} ({interval[0]:.1%} to {interval[1]:.1%})",
            ]
        )
    return table("| error | no error | right", rows)


def strata(found: Sequence[Judged]) -> str:
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
        groups: dict[str, list[Judged]] = {}
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


def rules(found: Sequence[Judged]) -> str:
    """By rule: errors where networks fail and where they train; and how often no other rule saw."""
    counts: dict[str, Counter[str]] = {}
    for one in found:
        for rule in one.errors:
            own = counts.setdefault(rule, Counter())
            own["train" if one.trains else "fail"] += 1
            own["alone"] += len(one.errors) == 1 and not one.trains
    rows = [
        [f"[{rule}]({rule}.md)", *(str(own[what]) for what in ("fail", "alone", "train"))]
        for rule, own in sorted(counts.items())
    ]
    return table("rule | errors where it fails | alone | errors where it trains", rows)


def wrong(found: Sequence[Judged]) -> str:
    """The cells that the check gets wrong."""
    rows = [
        [
            one.cell.name,
            "trains" if one.trains else "fails",
            "-" if one.lowest is None else f"{one.lowest:.2f}",
            " ".join(one.errors) or "-",
            " ".join(one.warnings) or "-",
        ]
        for one in sorted(found, key=lambda one: (one.trains, one.cell.name))
        if not one.right
    ]
    return table("cell | training | lowest loss | errors | warnings", rows)


def table(head: str, rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [f"| {head} |", "|" + " --- |" * len(head.split("|"))]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def parts(found: Sequence[Judged]) -> Iterator[tuple[str, str]]:
    """What stands between the marks of the page, by name."""
    by_half = {
        half: [one for one in found if one.cell.half == half] for half in ("calibration", "report")
    }
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


def written(text: str, made: Iterable[tuple[str, str]]) -> str:
    """A page with every part between its marks."""
    for name, part in made:
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->\n")
        if not opening or not closing:
            raise SystemExit(f"{PAGE.name} has no marks of {name}")
        text = before + opening + part + closing + after
    return text


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
