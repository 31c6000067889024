"""Audit: what is as planned raises no alarm, what is not does, and nothing is left out."""

import pytest
import torch
from torch import nn

import fanin

# An alarm is false in fewer than one of 10**8 tensors (six standard errors); seeds are fixed.
SPECS = [
    "normal(std=0.02)",
    "truncated_normal(std=0.02)",
    "he_uniform",
    "orthogonal",
    "sparse(0.9)",
    "constant(0.1)",
    "blocks(normal(std=0.1), normal(std=0.5))",
    "blocks(zeros(), constant(0.3))",
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("spec", SPECS)
def test_what_was_applied_is_as_planned(spec: str, dtype: torch.dtype) -> None:
    model = nn.Linear(96, 64, dtype=dtype)
    for seed in range(3):
        audit = fanin.initialize(model, seed, initializer=spec).audit(model)
        assert audit.ok, audit
        assert [one.name for one in audit.accounts] == ["weight", "bias"]


def test_constants_that_are_given_are_as_planned() -> None:
    model = nn.Linear(4, 64)
    given = fanin.initializers.constant(list(range(64)))
    assert fanin.initialize(model, overrides={"bias": given}).audit(model).ok


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_gates_are_as_planned(layer: type[nn.Module]) -> None:
    model = layer(16, 32, num_layers=2)
    audit = fanin.initialize(model).audit(model)
    assert audit.ok, audit


def test_a_row_of_padding_is_as_planned() -> None:
    model = nn.Embedding(10, 4096, padding_idx=3)
    (account,) = (
        fanin.initialize(model, initializer="normal(mean=1.0, std=0.1)").audit(model).accounts
    )
    assert account.ok, account
    assert account.planned == pytest.approx((0.9, (0.9 * 0.01 + 0.09) ** 0.5))


def test_complex_values_are_measured_by_their_real_parts() -> None:
    model = nn.Linear(64, 64, dtype=torch.complex64)
    assert fanin.initialize(model).audit(model).ok


@pytest.mark.parametrize("change", [lambda w: w.mul_(1.2), lambda w: w.add_(0.05)])
def test_a_changed_weight_is_found(change: object) -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    plan = fanin.initialize(model)
    with torch.no_grad():
        change(model[1].weight)  # type: ignore[operator]
    audit = plan.audit(model)
    assert not audit.ok
    assert [one.name for one in audit.findings] == ["1.weight"]
    (line,) = [line for line in str(audit).splitlines() if "NOT AS PLANNED" in line]
    assert line.startswith("1.weight")


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 16)
        self.norm = nn.BatchNorm1d(16)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.words.weight
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)


def test_ties_buffers_and_kept_values_are_accounted_for() -> None:
    model = Tied()
    audit = fanin.initialize(model).audit(model)
    whats = {one.name: one.what for one in audit.accounts}
    assert audit.ok
    assert whats["head.weight"] == "tied to words.weight"
    assert whats["norm.running_mean"] == "buffer, running statistics"
    assert whats["norm.num_batches_tracked"] == "buffer, running statistics"
    assert whats["frozen"] == "kept: frozen, so kept as it is"
    registered = {*model.state_dict()}
    assert whats.keys() == registered


def test_where_it_is_measured_has_names_of_its_own() -> None:
    model = nn.Linear(8, 8)
    plan = fanin.plan(model, rename={"weight": "w"})
    plan.apply(model, rename={"weight": "w"})
    assert plan.audit(model, rename={"weight": "w"}).ok
    with pytest.raises(TypeError, match=r"audit\(\) got an unexpected keyword argument 'foo'"):
        plan.audit(model, foo=1)  # type: ignore[call-arg]


def test_of_a_partly_loaded_model_it_says_how_much_is_still_drawn() -> None:
    """Names of a checkpoint that fit few parameters: load_state_dict(strict=False) says nothing."""
    model = nn.Sequential(*(nn.Linear(16, 16) for _ in range(5)))
    plan = fanin.initialize(model)
    audit = plan.audit(model)
    assert (audit.as_drawn, audit.drawn) == (10, 10)
    loaded = {"0.weight": torch.randn(16, 16) / 4, "3.weight": torch.randn(16, 16) / 4}
    model.load_state_dict(loaded | {"model.1.weight": loaded["0.weight"]}, strict=False)
    audit = plan.audit(model)
    assert (audit.as_drawn, audit.drawn) == (8, 10)
    assert str(audit).splitlines()[-1] == "8 of 10 parameters hold what seed 0 draws"
    others = [one.name for one in audit.accounts if one.as_drawn is False]
    assert others == ["0.weight", "3.weight"]


def test_without_a_seed_nothing_is_said_of_draws() -> None:
    model = nn.Linear(8, 8)
    audit = fanin.plan(model).audit(model)
    assert (audit.as_drawn, audit.drawn, audit.seed) == (0, 0, None)
    assert "hold what seed" not in str(audit)


def test_what_only_keeps_is_not_drawn() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
    audit = fanin.initialize(model, 7, only="1.*", prefix="mine").audit(model)
    assert (audit.as_drawn, audit.drawn) == (2, 2)
