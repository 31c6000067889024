"""Memory that nobody wrote is named as such: by what it holds, and that a seed draws otherwise."""

import pytest
import torch
from torch import nn

import fanin
from fanin import FaninError, Plan


def drawn() -> tuple[Plan, nn.Module]:
    model = nn.Sequential(nn.Embedding(40, 16, padding_idx=2), nn.Linear(16, 24), nn.Linear(24, 3))
    return fanin.initialize(model, 0), model


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (torch.nan, "NEVER WRITTEN: 2 of 384 elements are such as nan"),
        (4.6e-41, "NEVER WRITTEN: 2 of 384 elements are such as 4.6"),
        (2.5e33, "NEVER WRITTEN: 2 of 384 elements are such as 2.5e+33"),
    ],
)
def test_patterns_are_shown(value: float, told: str) -> None:
    plan, model = drawn()
    with torch.no_grad():
        model[1].weight[3, 4:6] = value
    (finding,) = plan.audit(model).findings
    assert (finding.name, finding.fault[: len(told)]) == ("1.weight", told)
    with pytest.raises(FaninError, match=r"1\.weight was never written: 2 of 384 elements"):
        plan.verify(model)


def test_rows_of_zeros_are_shown_where_none_is_on_purpose() -> None:
    plan, model = drawn()
    assert plan.audit(model).ok  # a row of padding is zero
    with torch.no_grad():
        model[0].weight[[7, 9, 11, 13]] = 0
        model[2].weight.zero_()
        model[1].weight.mul_(1.01)  # another value, and not zero
    found = {one.name: one.fault for one in plan.audit(model).findings}
    assert found == {
        "0.weight": "NEVER WRITTEN: zero rows are 7, 9, 11 and 1 more of 40",
        "2.weight": "NEVER WRITTEN: all elements are zero",
    }


def test_zeros_on_purpose_are_none() -> None:
    model = nn.Linear(16, 24)
    for spec in ("zeros", "sparse(0.99)", "zero_hadamard"):
        plan = fanin.initialize(model, 0, overrides={"weight": spec})
        assert plan.audit(model).ok, spec
    with torch.no_grad():
        model.weight.zero_()
    kept = fanin.plan(model, keep="weight", strict=True)
    assert kept.apply(model, 0).audit(model).ok


def test_what_is_kept_is_looked_at_for_patterns() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2)).to(torch.bfloat16)
    with torch.no_grad():
        model[0].weight[1, 1] = torch.nan
    plan = fanin.initialize(model, 0, only="1.*")
    assert [one.name for one in plan.audit(model).findings] == ["0.weight"]


@pytest.mark.parametrize("bits", [[1e-42], [2.5e33], [k * 1e-42 for k in range(20, 36)]], ids=str)
def test_what_lies_in_memory_by_chance_is_no_statement(bits: list[float]) -> None:
    """A bias of one value, or far from zero, stays as made; bits that nobody wrote do not."""

    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))

    model, x = build(), torch.zeros(2, 8)
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor(bits).expand(16) if len(bits) == 1 else torch.tensor(bits))
    plan = fanin.initialize(model, 0, x)
    assert not model[0].bias.any()
    assert [row.why for row in plan.rows] == [row.why for row in fanin.plan(build(), x).rows]
