"""Trained: learning time of deep linear networks, and Fixup without norms."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import torch
from torch import nn

import fanin
from fanin.lab.training.trial import Trial
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, StudyPart
from fanin.studies.classics._training import FIRST_SEED, NetworkTrial, setup, train_networks

TARGET = 0.06  # of the quadratic loss, which is 0.09 for the best constant output
SAME, SLOWER = 1.5, 3.0  # times the steps of the shallowest: still the same, and grown
TIME_RULES = {"orthogonal": "orthogonal", "Gaussian": "lecun_normal"}


def measure_time(
    advance: Advance, depths: Sequence[int], rates: Sequence[float], seeds: int, steps: int
) -> dict[str, Any]:
    """By rule and depth: the steps to the target at the best rate, the median over seeds."""
    found: dict[str, Any] = {name: {} for name in TIME_RULES}
    for depth in depths:
        shared = setup("linear", depth, steps, 32, "sgd", "quadratic")
        for name, rule in TIME_RULES.items():
            jobs = [NetworkTrial(_by(rule), seed, rate) for rate in rates for seed in _seeds(seeds)]
            trials = train_networks(shared, jobs, advance)
            groups = [trials[k : k + seeds] for k in range(0, len(trials), seeds)]
            best = min(map(_time, groups))
            found[name][str(depth)] = best if math.isfinite(best) else None
    return found


def _time(trials: Sequence[Trial]) -> float:
    steps = [trial.steps_to(TARGET) for trial in trials]
    return median(math.inf if step is None else float(step) for step in steps)


def _seeds(count: int) -> range:
    return range(FIRST_SEED, FIRST_SEED + count)


def _by(rule: str) -> Any:
    return lambda model, seed: fanin.initialize(model, seed, initializer=rule, unplaced="keep")


def _fixup(model: nn.Module, seed: int) -> object:
    return fanin.initialize(model, seed, torch.zeros(1, 1, 28, 28), recipe="fixup")


def measure_fixup(
    advance: Advance, blocks: Sequence[int], rates: Sequence[float], seeds: int, steps: int
) -> dict[str, Any]:
    """By rule and number of blocks: the best accuracy over rates, and the share that learned."""
    found: dict[str, Any] = {"Fixup": {}, "He": {}}
    for count in blocks:
        shared = setup("residual", count, steps, 32, "momentum", "cross_entropy")
        for name, start in (("Fixup", _fixup), ("He", _by("he_normal"))):
            jobs = [NetworkTrial(start, seed, rate) for rate in rates for seed in _seeds(seeds)]
            trials = train_networks(shared, jobs, advance)
            groups = [trials[k : k + seeds] for k in range(0, len(trials), seeds)]
            found[name][str(count)] = {
                "share": max(sum(not t.failed for t in group) / seeds for group in groups),
                "accuracy": max(sum(t.score for t in group) / seeds for group in groups),
            }
    return found


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    time: dict[str, Any] = {
        "depths": [2, 4] if quick else [4, 8, 16, 32, 64],
        "rates": [0.1] if quick else [0.003, 0.01, 0.03, 0.1, 0.3],
        "seeds": 1 if quick else 3,
        "steps": 20 if quick else 400,
    }
    fixup: dict[str, Any] = {
        "blocks": [5] if quick else [10, 50],
        "rates": [0.01] if quick else [0.001, 0.003, 0.01, 0.03],
        "seeds": 1 if quick else 3,
        "steps": 10 if quick else 200,
    }
    return [
        part("learning-time", measure_time, _steps(time, "depths"), **time),
        part("fixup", measure_fixup, _steps(fixup, "blocks"), **fixup),
    ]


def _steps(sizes: Mapping[str, Any], over: str) -> int:
    return int(2 * len(sizes[over]) * len(sizes["rates"]) * sizes["seeds"] * sizes["steps"])


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    return [_times(found["learning-time"]), _trains(found["fixup"])]


def _times(times: Mapping[str, Mapping[str, float | None]]) -> ClaimRow:
    growth = {name: _growth(list(by_depth.values())) for name, by_depth in times.items()}
    told = [
        f"{name}: " + ", ".join(f"{depth}: {_say(steps)}" for depth, steps in by_depth.items())
        for name, by_depth in times.items()
    ]
    flat, grown = growth["orthogonal"], growth["Gaussian"]
    return ClaimRow(
        "Deep linear networks learn in a time that does not depend on their depth with orthogonal "
        "weights, and that grows with Gaussian ones",
        "Saxe et al. 2013, fig. 6, on MNIST",
        "Width 64, SGD, best of several rates at each depth, median over the seeds.",
        measured=f"Steps to a quadratic loss of {TARGET:g}, by depth: {'; '.join(told)}.",
        trained=True,
        holds=flat <= SAME and grown >= SLOWER,
        rule=f"Holds where the deepest takes at most {SAME:g} times the steps of the shallowest "
        f"with orthogonal weights, and at least {SLOWER:g} times with Gaussian ones.",
    )


def _growth(steps: Sequence[float | None]) -> float:
    """Steps of the last over those of the first; infinite where one of them never got there."""
    first, last = steps[0], steps[-1]
    return math.inf if first is None or last is None else last / first


def _say(steps: float | None) -> str:
    return "never" if steps is None else f"{steps:.0f}"


def _trains(found: Mapping[str, Any]) -> ClaimRow:
    told = [
        f"{2 * int(blocks)} weights in {blocks} blocks: "
        + ", ".join(
            f"{name} {100 * found[name][blocks]['accuracy']:.0f} % "
            f"({100 * found[name][blocks]['share']:.0f} % of runs learn)"
            for name in found
        )
        for blocks in found["Fixup"]
    ]
    deepest = list(found["Fixup"])[-1]
    learns = {name: found[name][deepest]["share"] > 0.5 for name in found}
    return ClaimRow(
        "Fixup trains deep residual networks without normalization, where He's start fails",
        "Zhang et al. 2019, who went to 10,000 layers",
        "Blocks of width 64 on MNIST, momentum, best of several rates.",
        measured="; ".join(told) + ".",
        trained=True,
        holds=learns["Fixup"] and not learns["He"],
        rule="Holds where at the largest depth more than half of the runs learn with Fixup at "
        "some rate, and not with He at any.",
    )


DEEP = ClaimFamily(parts, rows)
