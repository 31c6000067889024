"""Bad input of a plan of a part: each names the next step, and leaves the model as it was."""

from typing import Any

import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError, FaninWarning

X = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))


def tuned() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)
    )


def bits(model: nn.Module) -> dict[str, Any]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def test_a_backbone_with_nan_sizes_no_head() -> None:
    model = tuned()
    with torch.no_grad():
        model[0].weight[3, 3] = torch.nan
    before = bits(model)
    with pytest.raises(FaninError, match=r"0\.weight: what stays as it is holds .* Load the check"):
        fanin.initialize(model, 0, X, only="4.*")
    assert bits(model) == before
    assert "not finite stay in 0.weight" in " ".join(fanin.plan(model, only="4.*").notes)


def test_a_head_that_reads_zeros_is_told_to_look_before() -> None:
    model = tuned()
    with torch.no_grad():
        model[2].bias.fill_(-100)
    plan = fanin.initialize(model, 0, X, only="4.*")
    assert "all that 4.weight reads is zero" in " ".join(plan.notes)
    assert "fanin.check(model, inputs)" in " ".join(plan.notes)
    found = fanin.check(model, X, torch.randint(0, 4, (64,))).findings
    assert any(finding.layer.startswith(("2", "3", "4")) for finding in found)
    assert "reads is zero" not in " ".join(fanin.plan(tuned(), X, only="4.*").notes)


def test_a_checkpoint_of_other_shapes_is_told_to_plan_again() -> None:
    plan, model = fanin.plan(tuned(), X), tuned()
    model[4] = nn.Linear(32, 7)
    before = bits(model)
    with pytest.raises(
        FaninError, match=r"4\.weight has shape \(7, 32\); .* Plan this model again"
    ):
        plan.apply(model)
    assert bits(model) == before
    assert plan.diff(model) == (
        "! 4.weight: shape (4, 32) in the plan, (7, 32) in the model",
        "! 4.bias: shape (4,) in the plan, (7,) in the model",
    )


def test_a_model_of_which_all_stays_says_so() -> None:
    model = tuned()
    before = bits(model)
    plan = fanin.initialize(model, 0, X, keep="*")
    assert "nothing to draw; only= says what" in " ".join(plan.notes)
    assert bits(model) == before
    with pytest.warns(FaninWarning, match=r"no parameters, .* the one that it was made from"):
        fanin.initialize(nn.Sequential(nn.ReLU()), 0)


def test_a_head_that_reads_the_same_of_all_inputs_is_told() -> None:
    """Not what is the same by design, as what a table of positions gives."""
    model = tuned()
    with torch.no_grad():
        model[0].weight.zero_()
    inputs = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
    told = "all that 4.weight reads is the same for every one of these inputs"
    assert any(note.startswith(told) for note in fanin.plan(model, inputs, only="4.*").notes)
    assert not any(told in note for note in fanin.plan(tuned(), inputs, only="4.*").notes)
    assert not any(told in note for note in fanin.plan(tuned(), inputs[:1], only="4.*").notes)


def test_a_batch_that_is_missing_is_asked_for() -> None:
    model = tuned()
    with pytest.raises(FaninError, match=r"recipe lsuv measures on a batch of data: pass inputs="):
        fanin.initialize(model, 0, None, "lsuv", only="4.*")
    notes = " ".join(fanin.plan(model, torch.zeros(4, 16), only="4.*").notes)
    assert "pass a batch of real data to have it measured" in notes


@pytest.mark.parametrize("how", [{}, {"only": "4.*"}, {"rows": {"4.weight": slice(1, 3)}}])
def test_applied_twice_is_applied_once(how: dict[str, Any]) -> None:
    """Spectral vectors, statistics, drawn constants and copies included."""
    model = tuned()
    model[1] = nn.BatchNorm1d(32)
    model[2] = nn.utils.parametrizations.spectral_norm(nn.Linear(32, 32))
    plan = fanin.plan(model, X, **how)
    first = plan.apply(model, 5)
    held = bits(model)
    assert plan.apply(model, 5) == first
    assert bits(model) == held
    first.apply(model)
    assert bits(model) == held
