"""Rules for biases: torch's, and what a model predicts before training."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from fanin import FaninError
from fanin.initializers import class_priors, prior_probability, torch_bias


def test_torchs_bias_is_torchs() -> None:
    """n = 4 000 draws of torch's: the std within 5 standard errors (false alarms 6e-7)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.nn.Linear(50, 4_000).bias
    made = torch_bias(50)
    assert theirs.abs().max().item() <= 1 / math.sqrt(50)
    error = made.std((4_000,)) * math.sqrt((1.8 - 1) / 4 / 4_000)
    assert abs(theirs.std().item() - made.std((4_000,))) < 5 * error
    ours = made((4_000,), seed=0, name="bias")
    assert 0.999 / math.sqrt(50) < np.abs(ours).max() < 1 / math.sqrt(50)


@pytest.mark.parametrize("p", [0.01, 0.5, 0.9, 1e-6, np.float32(0.25)])
def test_a_sigmoid_predicts_the_prior(p: float) -> None:
    bias = prior_probability(p)((3,), seed=0, name="bias", dtype="float64")
    assert torch.sigmoid(torch.from_numpy(bias)).tolist() == pytest.approx([p] * 3, rel=1e-12)


@pytest.mark.parametrize("p", [(0.5, 0.3, 0.2), (1, 1), [10, 990], (1e-9, 1.0)])
def test_a_softmax_predicts_the_frequencies(p: Any) -> None:
    bias = class_priors(p)((len(p),), seed=0, name="bias", dtype="float64")
    share = [one / sum(p) for one in p]
    assert torch.softmax(torch.from_numpy(bias), 0).tolist() == pytest.approx(share, rel=1e-12)


def test_the_number_of_classes_is_the_biases() -> None:
    with pytest.raises(FaninError, match=r"has shape \(2,\), the parameter has \(3,\)"):
        class_priors((0.5, 0.5))((3,), seed=0, name="bias")


@pytest.mark.parametrize("wrong", [0, -1, math.nan, math.inf, "a", None])
def test_fan_in_is_a_number(wrong: Any) -> None:
    with pytest.raises(FaninError, match=r"fan_in of torch_bias is .*; it must be a number >= 1"):
        torch_bias(wrong)


@pytest.mark.parametrize("wrong", [0, 1, -0.1, math.nan, "a"])
def test_a_prior_lies_between_0_and_1(wrong: Any) -> None:
    with pytest.raises(FaninError, match=r"p of prior_probability is .*; a probability lies"):
        prior_probability(wrong)


@pytest.mark.parametrize("wrong", [(), (0.5, 0), (-1, 2), (math.inf, 1), "ab", 0.5, (None,)])
def test_class_priors_are_positive(wrong: Any) -> None:
    with pytest.raises(FaninError, match=r"p of class_priors is .*; give probabilities or counts"):
        class_priors(wrong)
