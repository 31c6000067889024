"""Fans that differ: signals and gradients through a linear network that narrows."""

import itertools
import statistics
from functools import partial
from typing import Any

import numpy as np

from fanin import initializers
from fanin.streams import Stream
from fanin.studies._study import Advance, StudyPart
from fanin.studies.depth._propagation import INPUTS

WIDTHS = (1024, 512, 256, 128, 64, 32)
MODES = {"fan_in": "1/n_in", "fan_avg": "2/(n_in + n_out)", "fan_out": "1/n_out"}
SHAPES = ("normal", "uniform")


def part(name: str, seeds: int) -> StudyPart:
    """By mode and distribution, the gain of the whole network forward and backward."""
    settings = {"widths": list(WIDTHS), "modes": list(MODES), "seeds": seeds}
    return StudyPart(name, settings, partial(_measure, seeds))


def _measure(seeds: int, advance: Advance) -> dict[str, dict[str, float]]:
    found = {}
    for mode, shaped in itertools.product(MODES, SHAPES):
        runs = [_one(f"variance_scaling(1.0, '{mode}', '{shaped}')", seed) for seed in range(seeds)]
        forward, backward = map(statistics.median, zip(*runs, strict=True))
        found[f"{mode}, {shaped}"] = {"forward": forward, "backward": backward}
    return found


def _one(rule: str, seed: int) -> tuple[float, float]:
    """RMS after over RMS before: of the signal, and of a gradient on its way back."""
    shapes = [(after, before) for before, after in itertools.pairwise(WIDTHS)]
    weights: list[Any] = [
        initializers.get(rule)(shape, seed=seed, name=f"layers.{layer}.weight")
        for layer, shape in enumerate(shapes)
    ]
    signal = before = Stream(seed, "inputs").normal((INPUTS, WIDTHS[0]))
    gradient = last = Stream(seed, "gradient").normal((INPUTS, WIDTHS[-1]))
    for weight in weights:
        signal = signal @ weight.T
    for weight in reversed(weights):
        gradient = gradient @ weight
    return _size(signal) / _size(before), _size(gradient) / _size(last)


def _size(values: Any) -> float:
    return float(np.sqrt(np.square(values, dtype=np.float64).mean()))
