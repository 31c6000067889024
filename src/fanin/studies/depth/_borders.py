"""The border between trained and not trained: the lab's depth sweep, with and without clipping."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fanin.lab.comparison import compare
from fanin.lab.training.trial import Trial
from fanin.studies._study import Advance, StudyPart

CLIP = 1.0  # of the norm of all gradients
WIDTH = 64  # of the lab's deep_mlp


@dataclass(frozen=True)
class Sweep:
    """Which depths are trained, and how; `rates` are learning rates by activation."""

    depths: tuple[int, ...]
    seeds: int
    images: int
    epochs: int
    batch: int
    rates: Mapping[str, float]


def part(name: str, activation: str, rules: Sequence[str], clip: bool, sweep: Sweep) -> StudyPart:
    """For each rule: verdicts of the runs by depth, and the depth to which training starts."""

    def measure(advance: Advance) -> dict[str, Any]:
        found = compare(
            rules,
            seeds=sweep.seeds,
            data="digits",
            train=sweep.images,
            test=sweep.images,
            epochs=sweep.epochs,
            batch_size=sweep.batch,
            model="deep_mlp",
            activation=activation,
            optimizer="sgd",
            lr=sweep.rates[activation],
            clip_norm=CLIP if clip else None,
            depth=sweep.depths[0],
            depths=sweep.depths,
        )
        return {
            row.name: {
                "starts_to": row.starts_to,
                "verdicts": [_counts(trials) for trials in row.trials.values()],
            }
            for row in found.depths
        }

    settings = asdict(sweep) | {"activation": activation, "rules": list(rules), "clip": clip}
    return StudyPart(name, settings, measure, steps=20 * sum(sweep.depths))


def _counts(trials: Sequence[Trial]) -> dict[str, int]:
    verdicts: list[str] = [trial.verdict for trial in trials]
    return {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}


def find_end(found: Mapping[str, Any], verdict: str) -> int:
    """How many runs of a part ended with this verdict."""
    return sum(counts.get(verdict, 0) for row in found.values() for counts in row["verdicts"])


def describe(sweep: Sweep) -> str:
    """The conditions in a sentence."""
    rates = ", ".join(f"{rate:g} ({name})" for name, rate in sweep.rates.items())
    return (
        f"the lab's deep_mlp (width {WIDTH}, zero biases) on digits, {sweep.images} training and "
        f"{sweep.images} test images, {sweep.epochs} epochs of SGD, {sweep.batch} images a step, "
        f"rates {rates}; {sweep.seeds} seeds; depths {', '.join(map(str, sweep.depths))}. "
        "Training starts to a depth if there, and at all lower ones, half of the runs learn. "
        f"Clipped: the norm of all gradients to {CLIP:g}."
    )
