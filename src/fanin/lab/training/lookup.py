"""What a trial is made from, by the names in its specification."""

import functools
import platform
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import fanin
from fanin.errors import FaninError
from fanin.lab.data.dataset import Dataset, Split, split
from fanin.lab.data.sources import load
from fanin.lab.networks import models
from fanin.lab.networks.models import NetworkOfUser
from fanin.lab.setup import TrialSetup, TrialSpec
from fanin.lab.training import initialization, losses
from fanin.lab.training.signals import EXAMPLES


def key_of(spec: TrialSpec, device: str) -> str:
    """The trial's key in a store."""
    return spec.key(
        {
            "data": data_of(spec.setup).digest,
            "model": model_of(spec.setup).digest,
            "initialization": initialization_of(spec.initialization).digest,
            "device": device,
            **versions(),
        }
    )


def versions() -> dict[str, str]:
    """What results depend on beside the settings."""
    return {
        "fanin": fanin.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


@functools.lru_cache(maxsize=2)
def _data(name: str, task: str, flat_images: bool) -> Dataset:
    return load(name, task, flat_images)


@functools.lru_cache(maxsize=256)
def initialization_of(name: str) -> initialization.Initialization:
    """The initialization of a name, read once."""
    return initialization.find(name)


def data_of(setup: TrialSetup) -> Dataset:
    """The data that a setup names, read once."""
    return _data(setup.data, setup.task, models.reads_images_alone(setup.model))


def model_of(setup: TrialSetup) -> NetworkOfUser:
    """The model that a setup names."""
    return models.find(setup, data_of(setup))


def forget() -> None:
    """Read data and plans again: their files may have changed since another run."""
    _data.cache_clear()
    initialization_of.cache_clear()


def split_of(setup: TrialSetup, seed: int) -> Split:
    """The split of a setup's data for a seed."""
    return split(data_of(setup), setup.train, setup.test, setup.epochs, seed)


def inputs_and_targets(setup: TrialSetup, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Inputs and targets, as the setup's loss wants them, at some indices."""
    data, places = data_of(setup), torch.from_numpy(chosen)
    return torch.from_numpy(data.inputs)[places], losses.targets(setup.loss, data)[places]


@initialization.pair()
def initialize(specs: Sequence[TrialSpec]) -> list[nn.Module]:
    """A model for every spec. A plan that reads names and shapes alone is made once."""
    plans: dict[str, fanin.Plan] = {}
    built = []
    for spec in specs:
        model, found = model_of(spec.setup).build(spec.seed), initialization_of(spec.initialization)
        plan = plans.get(spec.initialization)
        try:
            if plan is None:
                first = split_of(spec.setup, spec.seed).order[0][:EXAMPLES]
                inputs, _ = inputs_and_targets(spec.setup, first)
                plan = found.plan(model, spec.seed, inputs)
                if found.reusable and all(row.initializer is not None for row in plan.rows):
                    plans[spec.initialization] = plan
            plan.apply(model, spec.seed)
        except FaninError as error:
            raise FaninError(f"row {found.name}: {error}") from error.__cause__
        built.append(model)
    return built
