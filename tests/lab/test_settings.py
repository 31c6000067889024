import math
import shlex
from typing import Any

import pytest

from fanin import FaninError
from fanin.cli import _parser
from fanin.lab.settings import Settings


def test_counts_that_follow_from_others() -> None:
    settings = Settings(train=1000, epochs=2, batch_size=64, seeds=3, first_seed=5)
    assert settings.steps == 2 * 16
    assert settings.window == 2
    assert list(settings.all_seeds) == [5, 6, 7]
    assert Settings(train=7, epochs=2).window == 14


def test_the_command_repeats_the_settings() -> None:
    settings = Settings(
        initializers=("uniform(-0.5, 0.5)", "torch"), first_seed=2**64 - 8, data="my 'data'.npz"
    )
    arguments = vars(_parser().parse_args(shlex.split(settings.command)[1:]))
    arguments["initializers"] = tuple(arguments["initializers"])
    assert {key: arguments[key] for key in vars(settings)} == vars(settings)


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
        ({"target_loss": math.inf}, "target_loss is inf"),
        ({"first_seed": -1}, "seed is -1"),
        ({"first_seed": 2**64}, "seed is 18446744073709551616"),
        ({"first_seed": 2**64 - 1, "seeds": 2}, "Start at 18446744073709551614 or below"),
        ({"initializers": ()}, r"initializers is \(\)"),
        ({"initializers": "he_normal"}, "Use a list of one or more names"),
        ({"initializers": ("torch", "torch")}, "names 'torch' more than once"),
        ({"data": ""}, "data is an empty name"),
    ],
)
def test_bad_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        Settings(**changes)
