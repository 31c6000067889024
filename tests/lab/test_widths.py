"""The coordinate check: which parametrizations keep sizes as networks get wider."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError
from fanin.lab.widths import WidthCheck, check_widths

WIDTHS = (32, 64, 128, 256)


def mlp(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
    )


def check(**arguments: Any) -> WidthCheck:
    x = torch.randn(32, 8, generator=torch.manual_seed(1))
    return check_widths(mlp, WIDTHS, x, **({"steps": 3} | arguments))


def test_mup_keeps_sizes_and_the_standard_does_not() -> None:
    """Under Adam of one rate the last layers' changes grow as the width does."""
    standard = check(recipe="flax")
    found = {row.name: row for row in standard.rows}
    assert [*found] == ["0", "1", "2", "3", "4"]
    assert found["0"].verdict == "keeps its size"
    assert found["2"].change_power > 0.5
    assert found["4"].change_power > 0.5
    assert not standard.ok
    assert "2 grows" in standard.verdict
    scaled = check(recipe="mup")
    assert scaled.ok, str(scaled)
    assert all(abs(row.change_power) <= 0.1 for row in scaled.rows)
    assert scaled.rows[-1].start_power < -0.3  # heads that shrink at the start


def test_mup_of_sgd_keeps_sizes() -> None:
    assert check(recipe="mup", optimizer="sgd", lr=0.05).ok
    assert not check(recipe="flax", optimizer="sgd", lr=0.05).ok


def test_targets_may_be_given() -> None:
    assert len(check(targets=torch.zeros(32, 1), steps=1, seeds=1).rows) == 5
    x = torch.randn(32, 8, generator=torch.manual_seed(1))
    labels = torch.arange(32) % 2
    pair = check_widths(lambda width: nn.Linear(8, 2), (1, 2), x, labels, steps=1, seeds=1)
    assert len(pair.rows) == 1


@pytest.mark.parametrize("targets", [torch.zeros(2, 1), [[1], [1, 2]], "labels", torch.ones(32, 1)])
def test_targets_that_fit_no_output(targets: Any) -> None:
    x = torch.randn(32, 8)
    with pytest.raises(FaninError, match=r"^targets"):
        check_widths(lambda width: nn.Linear(8, 2), (1, 2), x, targets)


def test_inputs_that_the_model_does_not_take() -> None:
    with pytest.raises(FaninError, match="does not run on these inputs: RuntimeError: mat1"):
        check_widths(mlp, (1, 2), torch.zeros(2, 5))


def test_it_prints_as_a_table_and_draws() -> None:
    found = check(steps=1, seeds=1)
    lines = str(found).splitlines()
    assert lines[0] == found.verdict
    assert lines[2] == "RMS of outputs by width, at the start and of the change after 1 step"
    assert lines[3].split()[:3] == ["layer", "at", "32"]
    assert len(lines) == 4 + len(found.rows)
    pytest.importorskip("matplotlib")
    assert found.plot().startswith("<svg")


def test_a_draw_is_the_same_again_and_leaves_the_random_state() -> None:
    state = torch.get_rng_state()
    first, again = check(steps=1, seeds=1), check(steps=1, seeds=1)
    assert str(first) == str(again)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": (64,)}, "widths is .*; give two integers or more, ascending"),
        ({"widths": (64, 32)}, "ascending"),
        ({"widths": "64"}, "widths is '64'"),
        ({"optimizer": "lion"}, "optimizer is 'lion'; allowed are adam, sgd"),
        ({"steps": 0}, "steps is 0; it is an integer >= 1"),
        ({"lr": -1}, "lr is -1; give a number above 0"),
        ({"make": lambda width: 3}, r"make\(32\) returned an int"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    make: Callable[[int], Any] = arguments.pop("make", mlp)
    widths = arguments.pop("widths", WIDTHS)
    with pytest.raises(FaninError, match=message):
        check_widths(make, widths, torch.zeros(2, 8), **arguments)
