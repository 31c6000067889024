"""Buffers and memory that nobody wrote: public failures, each with a small case of its kind."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin import FaninError


class Rotary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        inverse = 1 / 10000 ** (torch.arange(8) / 8)
        self.register_buffer("inv_freq", inverse, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.cat([self.inv_freq, self.inv_freq]).cos()


class Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.rotary = nn.Linear(16, 16), Rotary()

    def forward(self, x: Tensor) -> Any:
        return self.rotary(self.up(x))


def emptied(garbage: float = 0.0) -> Language:
    """Built on the meta device, then given memory, which holds what it happened to hold."""
    with torch.device("meta"):
        model = Language()
    model.to_empty(device="cpu")
    model.rotary.inv_freq.fill_(garbage)
    return model


@pytest.mark.parametrize("garbage", [0.0, torch.nan, 3e33, 1e-41])
def test_frequencies_lost_by_a_detour_over_meta(garbage: float) -> None:
    """transformers 45902."""
    plan, model = fanin.plan(Language()), emptied(garbage)
    with pytest.raises(FaninError, match=r"the buffer rotary\.inv_freq .* computed 1\."):
        plan.apply(model)
    found = plan.audit(model).findings
    assert "rotary.inv_freq" in [account.name for account in found]
    plan.apply(model, buffers={"rotary.inv_freq": Rotary().inv_freq})
    assert plan.audit(model, build=Language).ok


def test_a_loop_that_makes_buffers_again_and_finds_none() -> None:
    """torchtitan 4783: the name that it looked for had moved, and nothing raised."""

    class Wrapper(Language):
        def init_states(self) -> None:
            for module in self.modules():
                if hasattr(module, "rope_init_fn"):
                    module.inv_freq = module.rope_init_fn()

    with torch.device("meta"):
        model = Wrapper()
    model.to_empty(device="cpu")
    model.load_state_dict(Language().state_dict())  # all that a checkpoint has
    model.rotary.inv_freq.fill_(0.25)
    model.init_states()
    audit = fanin.plan(Language(), keep="*").audit(model, build=Wrapper)
    assert [account.name for account in audit.findings] == ["rotary.inv_freq"]


def test_one_rank_right_and_the_others_garbage() -> None:
    """SkyRL 1709; over processes in tests/frameworks/torch/write/test_built.py."""
    plan = fanin.plan(Language())
    right, wrong = Language(), Language()
    plan.apply(right, 0)
    plan.apply(wrong, 0, prefix="other")
    hashes = [plan.audit(model).buffers_sha256 for model in (right, wrong)]
    assert hashes[0] == hashes[1]
    wrong.rotary.inv_freq[3] += 1e-6
    assert plan.audit(wrong).buffers_sha256 != hashes[0]


def test_an_index_out_of_its_table() -> None:
    """pytorch-image-models 2661: 2717338685440 where positions were to be."""

    class Window(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(9, 4))
            self.register_buffer("index", torch.arange(4), persistent=False)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.table[self.index].sum()

    model = Window()
    model.index = torch.tensor([0, 1, 2717338685440, 3])
    told = r"Buffer index is NEVER WRITTEN: element \(2,\) is 2717338685440, computed 2"
    with pytest.raises(FaninError, match=told):
        fanin.check(model, torch.randn(8, 4))
    assert [account.name for account in fanin.plan(model).audit(model).findings] == ["index"]


def test_an_index_beyond_its_table_that_nobody_can_build_again() -> None:
    """The same of a number that could be an index, in a module whose arguments are not known."""

    class Window(nn.Module):
        def __init__(self, places: list[int]) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(9, 4))
            self.register_buffer("index", torch.tensor(places))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.table[self.index].sum()

    model = Window([0, 1, 12, 3])
    told = r"Buffer index is OUT OF RANGE: it holds 0 to 12, and indexes 9 positions\."
    with pytest.raises(FaninError, match=told):
        fanin.check(model, torch.randn(8, 4))


def test_constants_set_in_the_constructor_alone() -> None:
    """nanochat 686: 0.2 is what nobody makes again after to_empty."""

    class Smear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.smear_lambda = nn.Parameter(torch.full((1,), 0.2))
            self.gate = nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Any:
            return x + self.smear_lambda * self.gate(x).sigmoid() * x.roll(1, 0)

    with fanin.empty_weights():
        model = Smear()
    plan = fanin.initialize(model, 0, torch.randn(8, 16))
    assert model.smear_lambda.item() == pytest.approx(0.2)
    with torch.no_grad():
        model.smear_lambda.fill_(torch.nan)
    assert [account.name for account in plan.audit(model).findings] == ["smear_lambda"]


def test_a_head_that_is_in_no_checkpoint() -> None:
    """transformers 46002: NaN in bfloat16, found before the first step."""
    model = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2)).to(torch.bfloat16)
    with torch.no_grad():
        model[2].weight[0, 3] = torch.nan
    x = torch.randn(32, 16, dtype=torch.bfloat16)
    assert {finding.id for finding in fanin.check(model, x).findings} == {"F01"}
    plan = fanin.initialize(model, 0, x, only="2.*")
    assert plan.audit(model).ok
    assert not fanin.check(model, x).findings
