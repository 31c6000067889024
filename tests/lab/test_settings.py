import math
import shlex
from typing import Any

import numpy as np
import pytest

from fanin import FaninError
from fanin.cli import _parser
from fanin.lab.settings import CompareSettings


def test_counts_that_follow_from_others() -> None:
    settings = CompareSettings(train=1000, epochs=2, batch_size=64, seeds=3, first_seed=5)
    assert settings.setup.steps == 2 * 16
    assert settings.setup.window == 2
    assert list(settings.all_seeds) == [5, 6, 7]
    assert list(settings.tuning_seeds) == [8, 9]
    assert CompareSettings(train=7, epochs=2).setup.window == 14


def test_the_loss_follows_from_the_task() -> None:
    assert CompareSettings().setup.loss == "cross_entropy"
    assert CompareSettings(task="regression").setup.loss == "quadratic"
    assert CompareSettings(loss="quadratic").setup.loss == "quadratic"


@pytest.mark.parametrize(
    "settings",
    [
        CompareSettings(
            initializers=("uniform(-0.5, 0.5)", "torch"),
            first_seed=2**64 - 16,
            data="my 'data'.npz",
        ),
        CompareSettings(
            initializers=("he_normal(mode='fan_out')", "torch"),
            task="regression",
            model="m:f",
            activation="leaky_relu(0.1)",
            depth=3,
            depths=(2, 4),
            loss="quadratic",
            optimizer="sgd",
            lr_grid=(0.1, 1e-05),
            lr_for=("he_normal(mode='fan_out')=0.1",),
            clip_value=0.5,
            clip_norm=1.0,
            target_loss=0.25,
            baseline="torch",
        ),
    ],
)
def test_the_command_repeats_the_settings(settings: CompareSettings) -> None:
    parsed = vars(_parser().parse_args(shlex.split(settings.command)[1:]))
    found = {name: parsed[name] for name in vars(settings)}
    as_tuples = {key: tuple(v) if isinstance(v, list) else v for key, v in found.items()}
    assert as_tuples == vars(settings)


def test_the_rate_of_one_initializer() -> None:
    name = "he_normal(mode='fan_out')"
    settings = CompareSettings(initializers=(name, "torch"), lr_for=(f"{name}=0.1", "torch=1e-3"))
    assert settings.given_rates == {name: 0.1, "torch": 0.001}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "seeds is 0"),
        ({"train": -5}, "train is -5. Use a whole number of 1 or more"),
        ({"test": 2.5}, r"test is 2\.5"),
        ({"epochs": True}, "epochs is True"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 30, "train": 20}, "batch_size=30 is larger than train=20"),
        ({"lr": -0.1}, r"lr is -0\.1. Use a finite number above 0"),
        ({"lr": math.nan}, "lr is nan"),
        ({"lr": None}, "lr is None"),
        ({"target_loss": math.inf}, "target_loss is inf"),
        ({"clip_norm": 0}, "clip_norm is 0"),
        ({"depth": 0}, "depth is 0"),
        ({"depths": (2, 0)}, "depths is 0"),
        ({"depths": (2, 2)}, "depths names '2' more than once"),
        ({"depths": 3}, "depths is 3. Use a list"),
        ({"lr_grid": (0.1, -1)}, "lr_grid is -1"),
        ({"first_seed": -1}, "seed is -1"),
        ({"first_seed": 2**64}, "seed is 18446744073709551616"),
        ({"first_seed": 2**64 - 3, "seeds": 2}, "Start at 18446744073709551612 or below"),
        ({"initializers": ()}, r"initializers is \(\)"),
        ({"initializers": "he_normal"}, "Use a list of one or more names"),
        ({"initializers": ("torch", "torch")}, "names 'torch' more than once"),
        ({"data": ""}, "data is an empty name"),
        ({"task": "regresion"}, "unknown task 'regresion': did you mean 'regression'"),
        ({"optimizer": "adm"}, "unknown optimizer 'adm': did you mean 'adam'"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"task": "regression", "loss": "cross_entropy"}, "which needs classes"),
        ({"baseline": "he_norml"}, "'he_norml' is not among the initializers: did you mean"),
        ({"lr_for": ("torch",)}, "lr_for is 'torch'. Write NAME=RATE"),
        ({"lr_for": ("torch=0",)}, "lr_for is 'torch=0'"),
        ({"lr_for": ("tourch=1",)}, "'tourch' is not among the initializers"),
    ],
)
def test_bad_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        CompareSettings(**changes)


def test_a_seed_of_numpy_is_one() -> None:
    settings = CompareSettings(first_seed=np.uint64(3))  # type: ignore[arg-type]
    assert type(settings.first_seed) is int
    assert "--seed 3 " in settings.command
