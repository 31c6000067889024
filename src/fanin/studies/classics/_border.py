"""How much scale a deep ReLU network may lose and still train."""

import math
from collections.abc import Mapping, Sequence
from statistics import median_high
from typing import Any

import fanin
from fanin.studies._rows import ClaimFamily, ClaimRow, part
from fanin.studies._study import Advance, StudyPart
from fanin.studies.classics._training import FIRST_SEED, NetworkTrial, setup, train_networks

RULES = {"He": "he_normal", "Xavier": "xavier_fan_in"}
CONVERGE, STALL = 22, 30  # He et al.'s depths
TARGET = 1.0  # of the training loss: what "sooner" is measured at


def measure(
    advance: Advance, depths: Sequence[int], rates: Sequence[float], seeds: int, steps: int
) -> dict[str, Any]:
    """By depth and rule, for every rate and seed: whether it learned, and the steps to a loss."""
    found: dict[str, Any] = {}
    for depth in depths:
        shared = setup("relu", depth, steps, 32, "momentum", "cross_entropy")
        cases = [(name, rate) for rate in rates for name in RULES]
        jobs = [
            NetworkTrial(_start(RULES[name]), seed, rate)
            for name, rate in cases
            for seed in range(FIRST_SEED, FIRST_SEED + seeds)
        ]
        trials = train_networks(shared, jobs, advance)
        found[str(depth)] = {name: {} for name in RULES}
        for number, (name, rate) in enumerate(cases):
            mine = trials[number * seeds : (number + 1) * seeds]
            found[str(depth)][name][str(rate)] = {
                "learned": [not trial.failed for trial in mine],
                "steps": [trial.steps_to(TARGET) for trial in mine],
            }
    return found


def _start(rule: str) -> Any:
    return lambda model, seed: fanin.initialize(model, seed, initializer=rule)


def share(case: Mapping[str, Any]) -> float:
    """The share of seeds that learned, at the best learning rate."""
    return float(max(sum(trials["learned"]) / len(trials["learned"]) for trials in case.values()))


def soonest(case: Mapping[str, Any]) -> float:
    """The median steps to the target loss at the best rate; infinite where most never reach it."""
    return min(_median(trials["steps"]) for trials in case.values())


def _median(steps: Sequence[int | None]) -> float:
    return median_high(math.inf if step is None else float(step) for step in steps)


def parts(quick: bool) -> list[StudyPart]:
    """What is measured."""
    sizes: dict[str, Any] = {
        "depths": [CONVERGE, STALL] if quick else [18, CONVERGE, 26, STALL],
        "rates": [0.01] if quick else [0.005, 0.01, 0.02],
        "seeds": 1 if quick else 4,
        "steps": 10 if quick else 1000,
    }
    trainings = len(sizes["depths"]) * len(sizes["rates"]) * sizes["seeds"] * len(RULES)
    return [part("border", measure, trainings * sizes["steps"], **sizes)]


def rows(found: Mapping[str, Any]) -> list[ClaimRow]:
    """The claims about it."""
    measured = found["border"]
    told = []
    for depth, cases in measured.items():
        told.append(f"{depth} weights: " + ", ".join(f"{n} {_say(c)}" for n, c in cases.items()))
    early, late = measured[str(CONVERGE)], measured[str(STALL)]
    both = all(share(early[name]) > 0.5 for name in RULES)
    sooner = soonest(early["He"]) < soonest(early["Xavier"])
    stalls = share(late["Xavier"]) < 0.5 < share(late["He"])
    example = next(iter(early["He"].values()))["learned"]
    rates = ", ".join(early["He"])
    how = f"MLP of width 64 on MNIST, momentum, best of the rates {rates}, seeds: {len(example)}."
    return [
        ClaimRow(
            f"At {CONVERGE} weights, 2^-{CONVERGE // 2} of the scale lost, Xavier and He both "
            f"train, He sooner; at {STALL}, 2^-{STALL // 2} lost, Xavier stalls and He trains",
            "He et al. 2015, section 2.2, on convolutions",
            how,
            measured=f"Runs that learn, and steps to a loss of {TARGET:g}: {'; '.join(told)}.",
            trained=True,
            holds=both and sooner and stalls,
            rule=f"Trains: more than half of the seeds leave ln 10 at some rate. Sooner: median "
            f"steps to a loss of {TARGET:g} at the best rate.",
        )
    ]


def _say(case: Mapping[str, Any]) -> str:
    steps = soonest(case)
    reached = f"{steps:.0f}" if math.isfinite(steps) else "never"
    return f"{100 * share(case):.0f} % ({reached})"


BORDER = ClaimFamily(parts, rows)
