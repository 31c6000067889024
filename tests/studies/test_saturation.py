import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from fanin.studies._run import run
from fanin.studies._share import NEARLY_ALL, RunShare
from fanin.studies._study import Claim
from fanin.studies.saturation import STUDY, _claims, _network, _readings

Verdict = Callable[..., str]
SMALL = 'Fixed weights "in [0, 1]" (in truth up to 3.7) learn the target, it prints 0.50'


@pytest.fixture(scope="module")
def found() -> Mapping[str, Any]:
    return run(STUDY, "quick").measured


@pytest.mark.parametrize(("rule", "sign"), [("descent", -1.0), ("added", 1.0)])
def test_the_stack_trains_as_autograd_does(rule: str, sign: float) -> None:
    """One run, gradients by torch: the same parameters after 20 steps."""
    before = _network._draw(_network.XAVIER, 3)
    after = _network.train(before, 20, _network.RULES[rule])
    one = {name: value[2].clone().requires_grad_() for name, value in before.items()}
    for _ in range(20):
        inputs = torch.tensor(_network.INPUT).reshape(2, 1)
        hidden = torch.tanh(one["hidden.weight"] @ inputs + sign * one["hidden.bias"])
        output = torch.sigmoid(one["out.weight"] @ hidden + sign * one["out.bias"])
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
    rules = (_network.RULES[name] for name in _network.SUBTRACTED)
    descent, series = (_network.train(before, 1, rule) for rule in rules)
    moved = descent["out.bias"] - before["out.bias"]
    torch.testing.assert_close(series["out.bias"] - before["out.bias"], -moved, rtol=0, atol=1e-7)
    assert torch.equal(series["out.weight"], descent["out.weight"])


def test_a_seed_gives_both_xavier_starts_the_same_weights() -> None:
    normal, zero = (_network._draw(start, 4) for start in _network.RANDOM[2:])
    assert torch.equal(normal["hidden.weight"], zero["hidden.weight"])
    assert not zero["hidden.bias"].any()


@pytest.mark.parametrize(
    ("order", "rule", "small", "large"),
    [
        ("columns", "added", 0.838, 1.000),
        ("columns", "descent", 0.435, 1.000),
        ("rows", "added", 0.809, 1.000),
        ("rows", "descent", 0.380, 8.9e-7),
    ],
)
def test_the_four_readings_begin_where_the_numbers_say(
    found: Mapping[str, Any], order: str, rule: str, small: float, large: float
) -> None:
    """Outputs before training, computed by hand from the article's numbers."""
    for starts, output in ((_network.SMALL_STARTS, small), (_network.LARGE_STARTS, large)):
        first = found[starts[order].name][rule]["first_output"]
        assert first == pytest.approx(output, rel=3e-3)


def test_the_fixed_weights_are_the_articles(found: Mapping[str, Any], verdict: Verdict) -> None:
    assert verdict(STUDY, found, f"{SMALL}, by gradient") == "holds"
    assert [_claims.large(found, rule).verdict for rule in _network.SUBTRACTED] == ["holds"] * 2


def _print(found: dict[str, Any], start: str, rule: str, figure: str) -> None:
    found[start][rule]["printed"] = {figure: 1}


def _print_all(order: str, rule: str) -> Callable[[dict[str, Any]], None]:
    def doctor(found: dict[str, Any]) -> None:
        _print(found, f"fixed, small, by {order}", rule, "0.50")
        _print(found, f"fixed, large, by {order}", rule, "0.00")
        for name, figure in (("uniform(0, 1)", "0.02"), ("normal(0, 1)", "0.01")):
            _print(found, name, rule, figure)
        _print(found, "Xavier, normal biases", rule, "0.50")

    return doctor


def test_one_reading_that_prints_all_is_found(found: Mapping[str, Any]) -> None:
    def judge(*readings: tuple[str, str]) -> str:
        changed = copy.deepcopy(dict(found))
        for order in _network.ORDERS:
            for rule in _network.RULES:
                _print(changed, f"fixed, small, by {order}", rule, "0.07")
        for reading in readings:
            _print_all(*reading)(changed)
        return _readings.reading(changed).verdict

    assert judge(("rows", "series")) == "holds"
    assert judge(("rows", "series"), ("columns", "series")) == "refuted"
    assert judge() == "refuted"


def _reach(**shares: float) -> Mapping[str, Any]:
    """So large a share of 500 made-up runs reaches the target; half of them where none is given."""
    made = {}
    for key, start in zip(("uniform", "normal", "xavier", "zero"), _network.RANDOM, strict=True):
        hits = round(500 * shares.get(key, 0.5))
        reached = [1] * hits + [0] * (500 - hits)
        runs = {"reached": reached, "saturated_output": 0.0, "ends_saturated": 0.0}
        made[start.name] = {"descent": runs, "weight_std": [0.577, 0.632]}
    return made


@pytest.mark.parametrize(
    ("claim", "made", "expected"),
    [
        (_claims.helps_little, _reach(uniform=0.2), "holds"),
        (_claims.helps_little, _reach(uniform=0.5), "undecided"),
        (_claims.helps_little, _reach(uniform=0.9), "refuted"),
        (_claims.normal_better, _reach(uniform=0.2, normal=0.4), "holds"),
        (_claims.normal_better, _reach(uniform=0.4, normal=0.4), "undecided"),
        (_claims.normal_better, _reach(uniform=0.4, normal=0.2), "refuted"),
        (_claims.fails_often, _reach(normal=0.9), "holds"),
        (_claims.fails_often, _reach(normal=0.95), "undecided"),
        (_claims.fails_often, _reach(normal=0.99), "refuted"),
        (_claims.xavier_best, _reach(uniform=0.2, normal=0.4, xavier=0.6), "holds"),
        (_claims.xavier_best, _reach(uniform=0.2, normal=0.6, xavier=0.6), "undecided"),
        (_claims.xavier_best, _reach(uniform=0.2, normal=0.8, xavier=0.6), "refuted"),
        (_claims.may_fail, _reach(xavier=0.998), "holds"),
        (_claims.may_fail, _reach(xavier=1.0), "refuted"),
        (_claims.zero_better, _reach(zero=0.7), "holds"),
        (_claims.zero_better, _reach(zero=0.3), "refuted"),
    ],
)
def test_claims_about_starts_follow_the_runs(
    claim: Callable[[Mapping[str, Any], str], Claim], made: Mapping[str, Any], expected: str
) -> None:
    assert claim(made, "descent").verdict == expected


@pytest.mark.parametrize(
    ("ends", "expected"), [(0.6, "holds"), (0.5, "undecided"), (0.135, "refuted")]
)
def test_saturated_runs_are_most_of_them_or_not(ends: float, expected: str) -> None:
    made = _reach(uniform=0.0)
    made[_network.UNIFORM.name]["descent"]["ends_saturated"] = ends
    assert _claims.saturates_mostly(made, "descent").verdict == expected


def test_forty_runs_without_failure_leave_it_open() -> None:
    made = _reach(xavier=1.0)
    made[_network.XAVIER.name]["descent"]["reached"] = [1] * 40
    assert _claims.may_fail(made, "descent").verdict == "undecided"


def test_other_verdicts_follow_the_measurements(found: Mapping[str, Any]) -> None:
    changed = copy.deepcopy(dict(found))
    _print(changed, "fixed, small, by rows", "descent", "0.60")
    changed["fixed, large, by rows"]["descent"]["saturated_output"] = 0.0
    _print(changed, "fixed, large, by rows", "series", "0.50")
    for rule in _network.SUBTRACTED:
        changed["normal(0, 1)"][rule]["reached"] = [0, 1] * 20
    assert _claims.small(changed, "descent").verdict == "refuted"
    assert [_claims.large(changed, rule).verdict for rule in _network.SUBTRACTED] == ["refuted"] * 2
    assert _claims.one_run(changed).verdict == "refuted"


def test_all_runs_of_forty_do_not_prove_nearly_all() -> None:
    """Wilson's interval of 40 of 40 begins at 91 %, that of 1000 of 1000 at 99.6 %."""
    assert RunShare(40, 40).lies_above(NEARLY_ALL) is None
    assert RunShare(1000, 1000).lies_above(NEARLY_ALL) is True
    assert RunShare(900, 1000).lies_above(NEARLY_ALL) is False
    assert str(RunShare(1, 2)) == "50.0 % of 2 (9.5 to 90.5)"
