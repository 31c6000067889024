"""The verdicts on claims about transformers' kin, on measurements made up, and the quick forms."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

import fanin
from fanin.lab.training.initialization import pair
from fanin.studies._rows import ClaimFamily
from fanin.studies.transformers import _sine
from fanin.studies.transformers._ratios import compare_losses, judge_ratio, take_best

KIN = {"sine": _sine.SINE}


def verdicts(family: ClaimFamily, found: Mapping[str, Any]) -> list[str]:
    return [row.claim(1).verdict for row in family.rows(found)]


@pytest.mark.parametrize("name", KIN)
def test_the_quick_form_of_a_family(name: str) -> None:
    family = KIN[name]
    told = 0

    def advance(steps: int) -> None:
        nonlocal told
        told += steps

    with pair():
        parts = family.parts(True)
        found = {part.name: part.measure(advance) for part in parts}
    assert told == sum(part.steps for part in parts)
    assert all(row.measured and row.how and row.source for row in family.rows(found))
    for figure in family.figures(found):
        assert figure.draw().startswith("<svg")


def test_the_best_rate_counts_and_what_diverges_is_not_best() -> None:
    assert take_best({"0.1": [1.0, None], "0.2": [2.0, 8.0]}) == [2.0, 8.0]
    assert take_best({"0.1": [1.0, 4.0], "0.2": [2.0, 8.0]}) == [1.0, 4.0]


@pytest.mark.parametrize(
    ("ratios", "verdict"),
    [
        ([1.5] * 10, True),
        ([0.7] * 10, False),
        ([1.01, 0.99] * 5, False),
        ([3.0, 1 / 3] * 5, None),
    ],
)
def test_a_ratio_has_three_answers(ratios: Sequence[float], verdict: bool | None) -> None:
    gap = compare_losses(("a", {"0.1": ratios}), ("b", {"0.1": [1.0] * len(ratios)}), 1)
    assert judge_ratio(gap) is verdict
    assert gap.interval.mean == pytest.approx(sum(map(math.log, ratios)) / len(ratios))


def sines(zero: float) -> dict[str, Any]:
    """Ten seeds of each start; biases of zero end with so large a loss."""
    losses = {name: {"0.01": [0.001 + 1e-5 * k for k in range(10)]} for name in _sine.STARTS}
    own = losses | {_sine.ZERO: {"0.01": [zero] * 10}}
    return {f"sine {periods}": {"losses": own, "fits": {}} for periods in _sine.PERIODS}


def test_biases_of_a_sine() -> None:
    assert verdicts(_sine.SINE, sines(0.07)) == ["holds"] * 3
    assert verdicts(_sine.SINE, sines(0.001)) == ["refuted"] * 3


def test_knots_are_uniform_over_the_inputs() -> None:
    """10,000 knots: the largest gap of a uniform distribution function is below 0.02 in all but one
    of 1,500 seeds (Kolmogorov)."""
    model = torch.nn.Sequential(
        torch.nn.Linear(1, 10_000), torch.nn.ReLU(), torch.nn.Linear(10_000, 1)
    )
    recipe, overrides = _sine.STARTS["knots uniform"]
    fanin.initialize(model, 0, recipe=recipe, overrides=overrides)
    weight, bias = (value.detach().double().flatten() for value in model[0].parameters())
    knots = (-bias / weight).sort().values
    expected = torch.linspace(-1, 1, 10_000, dtype=torch.float64)
    assert float((knots - expected).abs().max()) < 0.04
