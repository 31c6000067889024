"""The scaling family: the published formulas, against torch's where both agree."""

import math

import numpy as np
import pytest
import torch

from fanin import FaninError, Stream, initializers
from fanin.initializers import get, variance_scaling

SHAPE = (64, 32, 3, 3)
FAN_IN, FAN_OUT = 32 * 9, 64 * 9
FORMULAS = {
    "glorot": 2 / (FAN_IN + FAN_OUT),
    "he": 2 / FAN_IN,
    "lecun": 1 / FAN_IN,
}


@pytest.mark.parametrize("shape", ["uniform", "normal", "truncated_normal"])
@pytest.mark.parametrize("who", FORMULAS)
def test_the_variance_is_the_published_one(who: str, shape: str) -> None:
    assert get(f"{who}_{shape}").std(SHAPE) ** 2 == pytest.approx(FORMULAS[who], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("xavier_normal", torch.nn.init.xavier_normal_),
        ("xavier_uniform", torch.nn.init.xavier_uniform_),
        ("kaiming_normal", torch.nn.init.kaiming_normal_),
        ("kaiming_uniform", torch.nn.init.kaiming_uniform_),
    ],
)
def test_torchs_initializers_have_our_std(name: str, theirs: object) -> None:
    """n = 409 600 draws of torch's, within 5 standard errors: false alarms 6e-7 each."""
    weight = torch.empty(640, 640)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        arguments = {"nonlinearity": "relu"} if name.startswith("kaiming") else {}
        theirs(weight, **arguments)  # type: ignore[operator]
    std = get(name).std(weight.shape)
    assert abs(weight.std().item() - std) < 5 * std / math.sqrt(2 * weight.numel())


@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 288), ("fan_out", 576), ("fan_avg", 432)])
def test_the_mode_picks_the_fan(mode: str, fan: int) -> None:
    for shape in ("normal", "uniform", "truncated_normal"):
        made = variance_scaling(3.0, mode, shape)  # type: ignore[arg-type]
        assert made.std(SHAPE) == pytest.approx(math.sqrt(3.0 / fan), rel=1e-12)


def test_std_is_read_from_named_axes_and_groups() -> None:
    made = initializers.he_normal()
    assert made.std((3, 3, 32, 64), "hwio") == made.std(SHAPE)
    assert made.std((8, 4, 3)) == made.std((8, 4, 3), groups=2)
    fan_out = initializers.he_normal("fan_out")
    assert fan_out.std((8, 4, 3), groups=2) == fan_out.std((4, 4, 3))


def test_a_group_is_drawn_with_its_own_std() -> None:
    made = initializers.he_normal("fan_out")
    drawn = made((8, 4, 3), seed=0, name="w", groups=2)
    plain = Stream(0, "w").normal((8, 4, 3), 0.0, math.sqrt(2 / 12))
    assert np.array_equal(drawn, plain)


def test_uniform_limits_and_truncation_points() -> None:
    uniform = initializers.he_uniform()((400, 400), seed=0, name="w")
    limit = math.sqrt(6 / 400)
    assert 0.999 * limit < np.abs(uniform).max() < limit
    cut = initializers.he_truncated_normal()((400, 400), seed=0, name="w")
    assert 0.999 < np.abs(cut).max() / (2 * math.sqrt(2 / 400) / 0.8796256610342398) <= 1


def test_the_scale_of_a_slice_is_that_of_the_whole() -> None:
    whole = initializers.he_normal()((100, 50), seed=0, name="w")
    alone = initializers.he_normal()((100, 50), seed=0, name="w", index=(slice(3, 5), slice(0, 2)))
    assert np.array_equal(alone, whole[3:5, :2])


def test_a_bias_has_no_fans() -> None:
    with pytest.raises(FaninError, match=r"shape \(7,\) has no fan-in"):
        initializers.he_normal()((7,), seed=0, name="b")
    with pytest.raises(FaninError, match=r"shape \(7,\) has no fan-in"):
        initializers.he_normal().std(7)
