from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from fanin.studies._run import run
from fanin.studies._share import RunShare
from fanin.studies.saturation import STUDY, _network

Verdict = Callable[..., str]


@pytest.fixture(scope="module")
def found() -> Mapping[str, Any]:
    return run(STUDY, "quick").measured


def test_the_stack_trains_as_autograd_does() -> None:
    """One run, gradients by torch, biases subtracted: the same parameters after 20 steps."""
    before = _network._draw(_network.XAVIER, 3)
    after = _network.train(before, 20, 1.0)
    one = {name: value[2].clone().requires_grad_() for name, value in before.items()}
    for _ in range(20):
        inputs = torch.tensor(_network.INPUT).reshape(2, 1)
        hidden = torch.tanh(one["hidden.weight"] @ inputs - one["hidden.bias"])
        output = torch.sigmoid(one["out.weight"] @ hidden - one["out.bias"])
        ((output - _network.TARGET) ** 2 / 2).sum().backward()
        with torch.no_grad():
            for value in one.values():
                assert value.grad is not None
                value -= _network.RATE * value.grad
                value.grad = None
    for name, value in one.items():
        torch.testing.assert_close(after[name][2], value.detach())


def test_the_series_rule_moves_biases_the_other_way() -> None:
    before = _network._draw(_network.NORMAL, 5)
    descent, series = (_network.train(before, 1, sign) for sign in _network.RULES.values())
    moved = descent["out.bias"] - before["out.bias"]
    torch.testing.assert_close(series["out.bias"] - before["out.bias"], -moved, rtol=0, atol=1e-7)
    assert torch.equal(series["out.weight"], descent["out.weight"])


def test_a_seed_gives_both_xavier_starts_the_same_weights() -> None:
    normal, zero = (_network._draw(start, 4) for start in _network.RANDOM[2:])
    assert torch.equal(normal["hidden.weight"], zero["hidden.weight"])
    assert not zero["hidden.bias"].any()


def test_the_fixed_weights_are_the_articles(found: Mapping[str, Any], verdict: Verdict) -> None:
    assert verdict(STUDY, found, "From its fixed small") == "holds"
    assert verdict(STUDY, found, "Weights ten times") == "holds"


def test_verdicts_follow_the_measurements(found: Mapping[str, Any], verdict: Verdict) -> None:
    def fail(found: dict[str, Any]) -> None:
        found["fixed, small"]["descent"]["last_output"] = 0.6
        found["fixed, large"]["descent"]["last_output"] = 0.5
        for rule in _network.RULES:
            found["normal(0, 1)"][rule]["reached"] = [0, 1] * 20
            found["Xavier, normal biases"][rule]["reached"] = [0, 0] * 20

    for beginning in ("From its fixed small", "Weights ten times", "normal(0, 1): this start"):
        assert verdict(STUDY, found, beginning, fail) == "refuted"
    worse = "Xavier, normal biases: better than normal(0, 1), by gradient"
    assert verdict(STUDY, found, worse, fail) == "refuted"
    assert verdict(STUDY, found, "One run shows", fail) == "refuted"


def test_all_runs_of_forty_do_not_prove_nearly_all() -> None:
    """Wilson's interval of 40 of 40 begins at 91 %, that of 1000 of 1000 at 99.6 %."""
    assert RunShare(40, 40).nearly_all is None
    assert RunShare(1000, 1000).nearly_all is True
    assert RunShare(900, 1000).nearly_all is False
    assert str(RunShare(1, 2)) == "50.0 % of 2 (9.5 to 90.5)"
