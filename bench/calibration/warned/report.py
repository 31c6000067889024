"""Count what following warnings came to, and how many ordinary networks are warned.

    python -m bench.calibration.warned.report            # write docs/check/calibration.md

The first table is of the networks that `train` trained, each beside what the check says of it now.
The others are of the hundred architectures of bench/starts, from their own starts and from
`auto`, on a batch as they are trained on; where bench/starts has trained both, the losses of
`auto` follow the advice of `fanin.initialize(model, inputs=x)`.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from bench.calibration.families.grid import BY_NAME
from bench.calibration.families.report import Run
from bench.calibration.families.report import check as check_cell
from bench.calibration.families.starts import prepare
from bench.calibration.tables import PAGE, table, written
from bench.calibration.warned import ordinary
from bench.calibration.warned.train import Result, compare, kind_of, results
from bench.starts.architectures import ALL
from fanin.checks import Checkup

OUTCOMES = ("improved", "same", "worse")
STARTS = ("own", "auto")


class Said(NamedTuple):
    """The kinds of a checkup's warnings, and whether it has an error."""

    warned: frozenset[str]
    error: bool


def said(checkup: Checkup) -> Said:
    """What a checkup comes to."""
    levels = [(finding.severity, kind_of(finding)) for finding in checkup.findings]
    return Said(
        frozenset(kind for severity, kind in levels if severity == "warning"),
        any(severity == "error" for severity, _ in levels),
    )


def check_run(run: Run) -> Said:
    """What is said of a cell now."""
    return said(check_cell(*run))


def check_start(start: str, name: str) -> Said:
    """What is said of an architecture from a start."""
    architecture = next(one for one in ALL if one.name == name)
    return said(ordinary.check(start, architecture, "adamw"))


def by_rule(found: Sequence[Result], now: Mapping[str, Said]) -> str:
    """A row for each rule whose advice was followed, and what is left of its warnings."""
    rows = []
    for kind in sorted({kind for result in found for kind in result.followed}):
        warned = sum(any(each[0] == kind for each in result.warnings) for result in found)
        mine = {one.network: one.outcome(kind) for one in found if kind in one.followed}
        left = [outcome for name, outcome in mine.items() if kind in now[name].warned]
        kept = f"{left.count('improved')} of {len(left)}" if left else "note"
        rows.append([_link(kind), str(warned), *_count(mine.values()), kept])
    return table(f"rule | warned | {' | '.join(OUTCOMES)} | improved of those still warned", rows)


def _count(outcomes: Iterable[str]) -> list[str]:
    counts = Counter(outcomes)
    return [str(counts[outcome]) for outcome in OUTCOMES]


def _link(kind: str) -> str:
    rule, _, part = kind.partition(" ")
    return f"[{rule}]({rule}.md) {part}".strip()


def of_starts(found: Mapping[tuple[str, str], Said]) -> str:
    """How many of the architectures are warned, by start, and by which rules."""
    rows = []
    for start in STARTS:
        mine = [each for (of, _), each in found.items() if of == start]
        rules = Counter(_link(kind) for each in mine for kind in each.warned)
        told = ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items()))
        share = sum(bool(each.warned) for each in mine) / len(mine)
        errors = str(sum(each.error for each in mine))
        rows.append([f"`{start}`", str(len(mine)), f"{share:.0%}", errors, told or "-"])
    return table("start | architectures | with a warning | with an error | warnings", rows)


def of_trials(found: Mapping[tuple[str, str], Said]) -> str:
    """Own starts with a warning or an error, beside the losses of `auto`."""
    trained = {one.name: losses for one in ALL if (losses := ordinary.losses_of(one)) is not None}
    rows = []
    for said, wanted in (("a warning, no error", True), ("neither", False)):
        names = [
            name
            for (start, name), each in found.items()
            if start == "own" and name in trained and bool(each.warned) == wanted and not each.error
        ]
        outcomes = [compare(*trained[name]) for name in names]
        rows.append([said, str(len(names)), *_count(outcomes)])
    return table(f"own start has | architectures | {' | '.join(OUTCOMES)}", rows)


def parts(
    found: Sequence[Result], now: Mapping[str, Said], starts: Mapping[tuple[str, str], Said]
) -> Iterator[tuple[str, str]]:
    """What stands between the marks of the page, by name."""
    mine = [one for one in found if BY_NAME[one.network].half == "calibration"]
    yield "warned calibration", by_rule(mine, now)
    yield "warned starts", of_starts(starts)
    yield "warned trials", of_trials(starts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    found = [*results().values()]
    runs = [Run(BY_NAME[one.network], one.optimizer) for one in found if one.followed]
    pairs = [(start, one.name) for one in ALL for start in STARTS]
    with ProcessPoolExecutor(arguments.processes, initializer=prepare) as pool:
        console = Console(stderr=True)
        cells = track(pool.map(check_run, runs), "cells", len(runs), console=console)
        now = dict(zip((run.cell.name for run in runs), cells, strict=True))
        checks = pool.map(check_start, *zip(*pairs, strict=True))
        starts = track(checks, "starts", len(pairs), console=console)
        made = parts(found, now, dict(zip(pairs, starts, strict=True)))
    PAGE.write_text(written(PAGE.read_text("utf-8"), made), "utf-8")


if __name__ == "__main__":
    main()
