"""Follow the warnings of `fanin check`, and note whether networks train better for it.

    nice python -m bench.calibration.warned.train [--half report]

Networks are those cells of the eight families that train and have no error, under one of the
optimizers by a hash, in the order of a hash, those whose steps are short first; of the others those
of at most `DEEPEST` layers. Networks that a rule warns of are trained as they are and with its
advice followed, from the same seeds, on the same batches, at the rate at which the network as it
is trained best: of every rule `MOST` of them, or until too few improve for the goal. What RESULTS
has (JSON lines, one for each network) is not done again. Then `python -m
bench.calibration.warned.report`.

The rule, fixed before the first run: losses are means of the last 20 of 150 steps, within the
bounds of bench/starts. Advice *improves* a network where the geometric mean of the ratios of its
four losses is below 0.98, and three of the four are lower; it is *worse* where that holds the other
way round.
"""

import argparse
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.calibration.cover import HALVES, digest
from bench.calibration.families.grid import CELLS, RATES, Cell
from bench.calibration.families.report import Run, check
from bench.calibration.families.starts import EXAMPLE, build, prepare
from bench.calibration.families.tasks import task_of
from bench.calibration.families.train import Trial, finished
from bench.calibration.warned.advice import follow
from bench.lines import append, whole_lines
from bench.starts.protocol import WINDOW, bound, optimizer_of
from bench.starts.train import descend
from fanin.checks import Checkup, Finding

RESULTS = Path(__file__).with_name("trials.jsonl")
MOST = 8  # networks of a rule that are trained
GOAL = 0.8  # the share of them that is to improve
LONG, DEEPEST = ("cnn", "transformer", "mixer", "language", "recurrent"), 6
PAIRS = range(100, 104)  # seeds that no trial had
STEPS = 150
BETTER = 0.98  # geometric mean of the ratios of losses
MOSTLY = 3  # of the four pairs

Change = Callable[[nn.Module, int], Any]
# Advice to build another network: how it is followed.
_OTHER: dict[str, Callable[[Cell], Cell]] = {
    "Standardize the targets": lambda cell: replace(cell, form="table"),
    "in place of sigmoid": lambda cell: replace(cell, activation="tanh", start="glorot"),
    "[Ff]ewer": lambda cell: replace(cell, depth=max(cell.depth // 2, 1)),
}
# A rule that speaks of several things is several here: what it measured tells them apart.
_KINDS = {
    "residual stream": "streams",
    "attention": "attention",
    "state": "recurrent",
    "at the first step": "time",
    "embeddings": "tokens",
    "targets": "targets",
    "one behind another": "depth",
}


def kind_of(finding: Finding) -> str:
    """The rule of a finding, and which of its parts."""
    parts = (part for words, part in _KINDS.items() if words in finding.measured)
    return f"{finding.id} {next(parts, '')}".strip()


@dataclass(frozen=True)
class Result:
    """A network, its warnings as (kind, what was measured, advice), and losses of each seed.

    `followed` has them by kind, where that advice was followed; `plain` as the network is. They
    are shares of the loss of the best answer that does not look at the inputs.
    """

    network: str
    optimizer: str
    rate: float
    warnings: list[list[str]] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    followed: dict[str, list[float]] = field(default_factory=dict)

    def outcome(self, kind: str) -> str:
        """What following advice came to."""
        return compare(self.plain, self.followed[kind])


def compare(before: Sequence[float], after: Sequence[float]) -> str:
    """`improved`, `same` or `worse`: by the losses of the same seeds."""
    logs = [math.log(new / old) for old, new in zip(before, after, strict=True)]
    mean, enough = sum(logs) / len(logs), MOSTLY / 4 * len(logs)
    if mean < math.log(BETTER) and sum(log < 0 for log in logs) >= enough:
        return "improved"
    if mean > -math.log(BETTER) and sum(log > 0 for log in logs) >= enough:
        return "worse"
    return "same"


def networks(half: str) -> Iterator[tuple[Run, float]]:
    """The cells of a half that train, each under one optimizer, by a hash, and at its rate."""
    trials = finished()
    for cell in sorted(CELLS, key=lambda cell: cell.family in LONG):
        optimizers = sorted(RATES, reverse=bool(digest(cell.name)[0] & 1))
        found = (trials.get((cell.name, optimizer)) for optimizer in optimizers)
        best = next((trial for trial in found if trial is not None and trial.trains), None)
        if cell.half == half and best is not None:
            yield Run(cell, best.optimizer), _rate(best)


def _rate(trial: Trial) -> float:
    """The one at which it trained, after which no other was tried."""
    return RATES[trial.optimizer][len(trial.reached) - 1]


def train(run: Run, rate: float, seed: int, change: Change | None = None) -> float:
    """The mean loss of the last steps, after a change of the weights, as a share of chance."""
    task, model = task_of(run.cell), build(run.cell, seed).train()
    if change is not None:
        change(model, seed)
    descent = optimizer_of(run.optimizer, model.parameters(), rate)
    draw_batch = partial(task.draw_batch, torch.Generator().manual_seed(seed))
    figures = descend(model, descent, task.objective, draw_batch, STEPS)
    mean, chance = sum(figures[-WINDOW:]) / WINDOW, task.objective.chance(task.load())
    return float(f"{bound(mean if math.isfinite(mean) else None, chance) / chance:.4g}")


def change_of(
    run: Run, checkup: Checkup, findings: Sequence[Finding]
) -> tuple[Run, Change | None] | None:
    """What is trained where advice is followed, and what is done to its weights.

    None for advice that tells neither. Of several ways the first one that it names.
    """
    for words, other in _OTHER.items():
        if any(re.search(words, finding.fix) for finding in findings):
            return run._replace(cell=other(run.cell)), None
    example, _ = task_of(run.cell).draw_batch(torch.Generator().manual_seed(EXAMPLE))
    way = next(follow(findings, checkup, build(run.cell, EXAMPLE), example), None)
    return None if way is None else (run, way)


def work(run: Run, rate: float, outcomes: Mapping[str, Sequence[str]]) -> Result:
    """What is said of a network, and what comes of following it where too little is known."""
    checkup, kinds = check(*run), dict[str, list[Finding]]()
    result = Result(run.cell.name, run.optimizer, rate)
    for found in checkup.findings if checkup.ok() else ():
        if found.severity == "warning":
            kinds.setdefault(kind_of(found), []).append(found)
            result.warnings.append([kind_of(found), found.measured, found.fix])
    done: dict[tuple[str, ...], list[float]] = {}  # what has one remedy is followed once
    for kind, findings in kinds.items():
        how = None if is_known(outcomes.get(kind, ())) else change_of(run, checkup, findings)
        if how is None:
            continue
        if not result.plain:
            result.plain.extend(train(run, rate, seed) for seed in PAIRS)
        fixes = tuple(dict.fromkeys(finding.fix for finding in findings))
        if fixes not in done:
            done[fixes] = [train(how[0], rate, seed, how[1]) for seed in PAIRS]
        result.followed[kind] = done[fixes]
    return result


def is_known(outcomes: Sequence[str]) -> bool:
    """Whether enough networks were trained, or too few improve for the goal."""
    others = sum(outcome != "improved" for outcome in outcomes)
    return len(outcomes) >= MOST or MOST - others < GOAL * MOST


def results(path: Path = RESULTS) -> dict[str, Result]:
    """Those of a file, by network."""
    return {record["network"]: Result(**record) for record in whole_lines(path)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=HALVES, default=HALVES[0])
    arguments = parser.parse_args()
    prepare()
    done, outcomes = results(), dict[str, list[str]]()
    for run, rate in networks(arguments.half):
        result = done.get(run.cell.name)
        if result is None and run.cell.family in LONG and run.cell.depth > DEEPEST:
            continue
        if result is None:
            result = work(run, rate, outcomes)
            append(RESULTS, result)
            print(f"{run.name}: {' '.join(kind for kind, *_ in result.warnings)}", flush=True)
        for kind in result.followed:
            outcomes.setdefault(kind, []).append(result.outcome(kind))
            print(f"    {kind}: {outcomes[kind][-1]}", flush=True)


if __name__ == "__main__":
    main()
