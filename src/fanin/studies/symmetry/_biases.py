"""One network trained with several starts of its biases, over the same weights, seed by seed."""

from collections.abc import Mapping
from dataclasses import dataclass

import fanin
from fanin.lab.data.dataset import split
from fanin.lab.networks import models
from fanin.lab.settings import CompareSettings
from fanin.lab.training import lookup
from fanin.lab.training.trial import train
from fanin.studies._study import Advance, StudyPart

FANS = {"1.bias": 784, "3.bias": 128, "5.bias": 128}  # of the lab's mlp
RATE, BATCH = 0.1, 20


@dataclass(frozen=True)
class BiasSample:
    """How many seeds, on how many images of which data, for how many epochs."""

    seeds: int
    images: int
    epochs: int
    data: str


QUICK = BiasSample(6, 80, 1, "digits")
FULL = BiasSample(30, 1000, 5, "mnist")


def _overrides(kind: str) -> Mapping[str, str]:
    """Initializers of the biases by name; "torch's uniform" is U(-1 / sqrt(fan_in), ...)."""
    if kind == "torch's uniform":
        return {name: f"torch_bias({fan})" for name, fan in FANS.items()}
    return dict.fromkeys(FANS, kind)


def _settings(sample: BiasSample) -> CompareSettings:
    return CompareSettings(
        seeds=sample.seeds,
        data=sample.data,
        train=sample.images,
        test=sample.images,
        epochs=sample.epochs,
        batch_size=BATCH,
        model="mlp",
        optimizer="sgd",
        lr=RATE,
    )


def part(name: str, kind: str, sample: BiasSample) -> StudyPart:
    """The test accuracies of one start of the biases, a seed each, as a study's part."""
    settings = _settings(sample)
    setup = settings.setup

    def measure(advance: Advance) -> list[float]:
        data = lookup.data_of(setup)
        found = models.find(setup, data)
        built = [found.build(seed) for seed in settings.all_seeds]
        plan = fanin.plan(built[0], initializer="he_normal", overrides=_overrides(kind))
        for seed, model in zip(settings.all_seeds, built, strict=True):
            plan.apply(model, seed)
        splits = [
            split(data, setup.train, setup.test, setup.epochs, seed) for seed in settings.all_seeds
        ]
        trials = train(built, [RATE] * sample.seeds, splits, data, setup, advance=advance)
        return [trial.score for trial in trials]

    return StudyPart(
        name, {"command": settings.command, "biases": kind}, measure, sample.seeds * setup.steps
    )


def describe(sample: BiasSample) -> str:
    """The conditions in a sentence."""
    return (
        f"the lab's mlp (784-128-128-10, ReLU, He's weights) on {sample.data}, {sample.images} "
        f"training and {sample.images} test images, {sample.epochs} epochs of SGD at {RATE:g}, "
        f"{BATCH} images a step, seeds 0 to {sample.seeds - 1}; a "
        "seed fixes weights, split and order for all biases."
    )
