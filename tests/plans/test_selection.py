"""only= and keep=: a part of a model is drawn, and all the rest stays as it is."""

import hashlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.errors import FaninError


class Tuned(nn.Module):
    """A backbone whose features are about five times as large as theory's, and a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.back = nn.Sequential(
            nn.Linear(32, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()
        )
        self.head = nn.Linear(64, 10)
        with torch.no_grad():
            self.back[3].weight.mul_(5)
            self.back[3].bias.add_(3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.back(x))
        return out


def batch() -> Tensor:
    return torch.randn(512, 32, generator=torch.Generator().manual_seed(1))


def held(model: nn.Module) -> dict[str, str]:
    """A hash of every parameter and buffer."""
    state = model.state_dict()
    return {k: hashlib.sha256(v.numpy().tobytes()).hexdigest() for k, v in state.items()}


def changed(model: nn.Module, before: dict[str, str]) -> set[str]:
    return {name for name, digest in held(model).items() if digest != before[name]}


@pytest.mark.parametrize(
    "selection",
    [
        {"only": "head.*"},
        {"only": ["head.weight", "head.bias", "back.1.running_mean"]},  # as missing keys are
        {"only": lambda name: name.startswith("head")},
        {"keep": "back.*"},
        {"keep": [f"back.{at}.{end}" for at in (0, 1, 3) for end in ("weight", "bias")]},
    ],
)
def test_nothing_but_the_selected_changes(selection: dict[str, Any]) -> None:
    model = Tuned()
    model(batch())  # statistics that have moved
    before = held(model)
    plan = fanin.initialize(model, 3, batch(), **selection)
    assert changed(model, before) == {"head.weight", "head.bias"}
    assert {row.name for row in plan.rows if row.initializer} == {"head.weight", "head.bias"}
    plan.verify(model)


def test_a_head_is_sized_for_what_the_backbone_gives() -> None:
    model = Tuned()
    fanin.initialize(model, 0, batch(), only="head.*")
    features = model.back(batch())
    second = features.square().mean().item()
    assert second > 8  # theory says 0.5
    drawn = model.head.weight.square().mean().item()  # of 640 values: standard error 0.056
    assert drawn * 64 * second == pytest.approx(1, rel=0.2)


def test_without_values_theory_decides_and_says_so() -> None:
    plan = fanin.plan(Tuned(), torch.zeros(4, 32), only="head.*")
    assert "one number alone" in " ".join(plan.notes)
    assert plan["head.weight"].initializer is not None
    with torch.device("meta"):
        empty = torch.zeros(4, 32)
    assert "no values to run with" in " ".join(fanin.plan(Tuned(), empty, only="head.*").notes)


def test_statistics_without_parameters_stay_beside_what_is_kept() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8, affine=False), nn.Linear(8, 4))
    x = torch.randn(64, 8)
    model(x)
    before = held(model)
    fanin.initialize(model, 0, x, only="2.*")
    assert changed(model, before) == {"2.weight", "2.bias"}


def test_frozen_parameters_are_drawn_where_only_names_them() -> None:
    model = Tuned()
    model.head.weight.requires_grad_(False)
    before = held(model)
    fanin.initialize(model, 0, batch(), only="head.*")
    assert "head.weight" in changed(model, before)
    fresh = Tuned()
    fresh.head.weight.requires_grad_(False)
    before = held(fresh)
    fanin.initialize(fresh, 0, batch(), keep="back.*")
    assert changed(fresh, before) == {"head.bias"}


def test_values_are_those_of_the_whole_model() -> None:
    """A value depends on the seed, the name and the index, whatever else is drawn."""
    part, whole = Tuned(), Tuned()
    plan = fanin.plan(whole, batch(), "keras")
    plan.apply(whole, 5)
    plan.apply(part, 5, only="head.*")
    assert torch.equal(part.head.weight, whole.head.weight)
    assert not torch.equal(part.back[0].weight, whole.back[0].weight)


def test_lsuv_leaves_what_is_kept() -> None:
    model = Tuned()
    before = held(model)
    fanin.initialize(model, 0, batch(), "lsuv", only="head.*")
    assert changed(model, before) == {"head.weight", "head.bias"}
    assert model(batch()).var().item() == pytest.approx(1, abs=0.02)


def test_what_is_kept_is_hashed_when_asked() -> None:
    model = Tuned()
    plan = fanin.plan(model, batch(), only="head.*")
    assert plan["back.0.weight"].kept_sha256 is None
    sealed = plan.seal(model)
    sealed.apply(model)
    with torch.no_grad():
        model.back[0].weight.add_(1)
    plan.apply(model)
    with pytest.raises(FaninError, match=r"back\.0\.weight .* is kept by the plan"):
        sealed.apply(model)


def test_a_plan_of_a_part_is_saved(tmp_path: Any) -> None:
    plan = fanin.plan(Tuned(), batch(), only="head.*")
    assert fanin.Plan.load(plan.save(tmp_path / "plan.toml")) == plan


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"only": "haed.weight"}, "only has 'haed.weight', which no parameter matches: did you"),
        ({"only": []}, "only selects no parameter"),
        ({"only": lambda name: False}, "only selects no parameter"),
        ({"only": 3}, "only is 3; give a name"),
        ({"only": [3]}, "only has 3; names and patterns are text"),
        ({"only": "head.*", "keep": "back.*"}, "only and keep are both given"),
        (
            {"only": "head.*", "overrides": {"back.0.weight": "zeros"}},
            r"overrides has 'back.0.weight', which is kept as it is, not among only=",
        ),
    ],
)
def test_bad_selections(how: dict[str, Any], told: str) -> None:
    model = Tuned()
    before = held(model)
    with pytest.raises(FaninError, match=told):
        fanin.initialize(model, 0, batch(), **how)
    assert not changed(model, before)


def test_patterns_of_overrides_pass_over_what_is_kept() -> None:
    plan = fanin.plan(Tuned(), batch(), only="head.*", overrides={"*.bias": "constant(0.5)"})
    assert str(plan["head.bias"].initializer) == "constant(0.5)"
    assert plan["back.0.bias"].initializer is None


def test_what_was_built_empty_cannot_be_kept() -> None:
    with fanin.empty_weights():
        model = Tuned.__new__(Tuned)
        nn.Module.__init__(model)
        model.back, model.head = nn.Sequential(nn.Linear(32, 64)), nn.Linear(64, 10)
    with pytest.raises(FaninError, match=r"back\.0\.weight .* not among only=, and the model was"):
        fanin.plan(model, only="head.*")


def test_transformers_is_told_what_was_drawn() -> None:
    """Its `post_init` and `initialize_weights` draw again what does not carry this flag."""
    model = Tuned()
    fanin.initialize(model, 0, batch(), only="head.*")
    flagged = {
        name for name, item in model.named_parameters() if hasattr(item, "_is_hf_initialized")
    }
    assert flagged == {"head.weight", "head.bias"}


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_a_sparse_parameter_may_be_kept(layout: torch.layout) -> None:
    model = nn.Module()
    model.register_parameter("mixing", nn.Parameter(torch.eye(4).to_sparse(layout=layout)))
    plan = fanin.plan(model, keep="mixing")
    assert plan["mixing"].initializer is None
    plan.apply(model, 0)
    assert torch.equal(model.mixing.to_dense(), torch.eye(4))
