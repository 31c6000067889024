"""The network of Enrichment Cap (2023) from its initializations: the rows, as files of plans."""

import math
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fanin
from fanin.lab import compare
from fanin.lab.networks.networks import SmallConvNet

CnnConvention = Literal["torch", "article", "weight"]
CnnShape = Literal["normal", "uniform"]

BASE = "uniform(-0.5, 0.5)"
ADVICE, EXCHANGED = "Glorot, then He", "He, then Glorot"
RULES = {"Glorot": (1.0, "average"), "He": (2.0, "in"), "LeCun": (1.0, "in")}  # scale, fan
SHAPES: tuple[CnnShape, ...] = ("normal", "uniform")
MAPS = {"conv1.weight": (21, 21), "conv2.weight": (9, 9)}  # output maps on 28 x 28
CnnRows = Mapping[str, Mapping[str, tuple[str, CnnShape]]]


@dataclass(frozen=True)
class Training:
    """The settings of the comparison that all rows share."""

    train: int
    test: int
    epochs: int


def rows() -> CnnRows:
    """By row, the rule and the distribution of every weight."""
    weights = [name for name, value in SmallConvNet().named_parameters() if value.ndim > 1]
    plain = {
        f"{rule}, {shaped}": dict.fromkeys(weights, (rule, shaped))
        for rule in RULES
        for shaped in SHAPES
    }
    mixed = {
        name: {weight: (first if weight == weights[0] else others, SHAPES[0]) for weight in weights}
        for name, first, others in ((ADVICE, "Glorot", "He"), (EXCHANGED, "He", "Glorot"))
    }
    return plain | mixed


def deviation(weight: str, shape: tuple[int, ...], rule: str, convention: CnnConvention) -> float:
    """The standard deviation that a rule gives a weight of the network.

    Under "weight" the fans are the article's, but of a dense layer too fan_in is the size of the
    whole weight.
    """
    maps = MAPS.get(weight) if convention != "torch" else None
    known: Literal["torch", "article"] = "torch" if convention == "torch" else "article"
    fan_in, fan_out = fanin.fans(shape, convention=known, spatial_out=maps)
    if convention == "weight" and maps is None:
        fan_in = math.prod(shape)
    scale, fan = RULES[rule]
    return math.sqrt(scale / (fan_in if fan == "in" else (fan_in + fan_out) / 2))


def spell(row: Mapping[str, tuple[str, CnnShape]], convention: CnnConvention) -> dict[str, str]:
    """The initializer of every weight, by name."""
    spelled = {}
    for name, value in SmallConvNet().named_parameters():
        if name in row:
            rule, shaped = row[name]
            std = deviation(name, tuple(value.shape), rule, convention)
            bound = math.sqrt(3) * std
            spelled[name] = (
                f"normal(0.0, {std!r})" if shaped == "normal" else f"uniform({-bound!r}, {bound!r})"
            )
    return spelled


def plan(row: Mapping[str, tuple[str, CnnShape]], convention: CnnConvention) -> fanin.Plan:
    """What every parameter gets; biases are zero."""
    return fanin.plan(SmallConvNet(), initializer="normal", overrides=spell(row, convention))


@contextmanager
def _files(convention: CnnConvention) -> Iterator[dict[str, str]]:
    """The plans of all rows as files, by row, as long as the comparison needs them."""
    with tempfile.TemporaryDirectory(prefix="fanin-study-") as folder:
        made = {}
        for number, (name, row) in enumerate(rows().items()):
            made[name] = str(Path(folder) / f"{number}.toml")
            plan(row, convention).save(made[name])
        yield made


def train(
    data: str, convention: CnnConvention, training: Training, first_seed: int, seeds: int
) -> dict[str, Any]:
    """By row, for every seed: test accuracy, steps to the target loss (None: never), failed or not.

    The row of uniform(-0.5, 0.5), which reads no fans, is trained under torch's alone.
    """
    with _files(convention) as files:
        starts = {path: name for name, path in files.items()}
        if convention == "torch":
            starts = {BASE: BASE} | starts
        comparison = compare(
            list(starts),
            data=data,
            train=training.train,
            test=training.test,
            epochs=training.epochs,
            first_seed=first_seed,
            seeds=seeds,
        )
    return {
        starts[row.name]: {
            "accuracy": [trial.score for trial in row.trials],
            "steps": [trial.steps_to(row.target) for trial in row.trials],
            "failed": [trial.failed for trial in row.trials],
        }
        for row in comparison.rows
    }
