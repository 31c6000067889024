"""First steps: F19 and F20, what an optimizer got (F17), and the model as it was before them."""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Checkup, Finding
from fanin.errors import FaninError

Batch = tuple[Tensor, Tensor]


def network(seed: int = 0) -> nn.Sequential:
    """Small enough that a check of it is quick; weights of torch's own."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)
    )


@pytest.fixture
def batch() -> Batch:
    made = torch.Generator().manual_seed(1)
    inputs = torch.randn(64, 16, generator=made)
    return inputs, (inputs @ torch.randn(16, 4, generator=made)).argmax(1)


def steps_of(found: Checkup, rule: str = "F19") -> Finding:
    (finding,) = (finding for finding in found.findings if finding.id == rule)
    return finding


def told(found: Checkup) -> str:
    (note,) = (note for note in found.notes if " lr " in note)
    return note


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_sound_steps(batch: Batch, optimizer: str) -> None:
    found = fanin.check(network(), *batch, optimizer=optimizer, steps=8)
    assert not {"F19", "F20"} & {finding.id for finding in found.findings}
    assert "in 8 steps" in told(found)
    assert "lr from" in told(found)
    assert found.conditions.steps == 8
    assert found.conditions.optimizer.lower().startswith(f"{optimizer}, lr 0.")


@pytest.mark.parametrize(
    ("optimizer", "lr", "severity", "measured"),
    [
        ("sgd", 100.0, "error", "loss"),
        ("sgd", 1e-8, "error", "no step changes any parameter by 1e-06"),
        ("adam", 1.0, "error", "a step changes weights by"),
        ("adam", 0.05, "warning", "a step changes weights by"),
        ("adam", 1e-9, "error", "no step changes any parameter by 1e-06"),
    ],
)
def test_rates_that_do_not_fit(
    batch: Batch, optimizer: str, lr: float, severity: str, measured: str
) -> None:
    found = fanin.check(network(), *batch, optimizer=optimizer, lr=lr, steps=8)
    finding = steps_of(found)
    assert finding.severity == severity
    assert measured in finding.measured
    assert "lr from" in finding.fix


def test_what_is_not_finite_has_its_layer_named(batch: Batch) -> None:
    finding = steps_of(fanin.check(network(), *batch, optimizer="sgd", lr=1e5, steps=8))
    assert finding.severity == "error"
    assert "not finite" in finding.measured
    assert finding.layer


def test_the_rate_that_is_advised_lowers_the_loss(batch: Batch) -> None:
    """That of SGD is stable, by the sharpness; twice the highest one is told of."""
    found = fanin.check(network(), *batch, optimizer="sgd", lr=1e-3, steps=2)
    highest = float(told(found).partition("up to ")[2].partition(",")[0])
    model, (inputs, targets) = network(), batch
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5 * highest)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    again = fanin.check(network(), *batch, optimizer="sgd", lr=3 * highest, steps=8)
    assert "3 times the highest stable one" in steps_of(again).measured


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sharpness_is_the_largest_eigenvalue(momentum: float) -> None:
    """Of a linear model and squares the Hessian is known: 2 / count of X^T X for each output."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(64, 6), torch.randn(64, 3)
    model = nn.Linear(6, 3, bias=False)
    exact = float(torch.linalg.eigvalsh(inputs.T @ inputs)[-1]) * 2 / targets.numel()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=momentum)
    note = told(fanin.check(model, inputs, targets, optimizer=optimizer, steps=1))
    words = note.partition("a sharpness of ")[2].split()
    value, error = float(words[0]), float(words[2].rstrip(")."))
    assert abs(value - exact) < error + 0.005 * exact
    highest = float(note.partition("up to ")[2].partition(",")[0])
    assert highest == pytest.approx(2 * (1 + momentum) / exact, rel=0.02)


def test_sixteen_bits_round_steps_away(batch: Batch) -> None:
    model = network().to(torch.bfloat16)
    found = fanin.check(
        model, batch[0].bfloat16(), batch[1], optimizer="adam", lr=1e-8, steps=4, select="F19"
    )
    assert "rounded away" in steps_of(found).why
    assert "float32" in steps_of(found).fix


def test_units_die_of_steps(batch: Batch) -> None:
    """A bias alone has a rate that silences the layer; the weights move as they should."""
    model = network()
    model[4].requires_grad_(False)
    with torch.no_grad():
        model[4].weight.fill_(0.3)
        model[4].bias.zero_()
    optimizer = torch.optim.Adam(
        [
            {"params": [model[0].weight, model[0].bias, model[2].weight], "lr": 1e-4},
            {"params": [model[2].bias], "lr": 0.2},
        ]
    )
    found = fanin.check(
        model, batch[0], -torch.ones(64, 4), optimizer=optimizer, steps=8, select="F19,F20"
    )
    finding = steps_of(found, "F20")
    assert finding.layer == "2"
    assert "fall silent on every input in 8 steps of Adam" in finding.measured


def test_parameters_that_no_optimizer_got(batch: Batch) -> None:
    model = network()
    optimizer = torch.optim.SGD(model[:2].parameters(), lr=0.1)
    finding = steps_of(fanin.check(model, *batch, optimizer=optimizer), "F17")
    assert finding.severity == "warning"
    assert "did not get 2.weight, 2.bias, 4.weight and 1 more" in finding.measured
    for at in (2, 4):
        optimizer.add_param_group({"params": model[at].parameters()})
    assert not fanin.check(model, *batch, optimizer=optimizer, select="F17").findings
    other = torch.optim.SGD(network().parameters(), lr=0.1)
    finding = steps_of(fanin.check(model, *batch, optimizer=other, steps=8), "F17")
    assert (finding.severity, finding.layer) == ("error", "")
    model[2:].requires_grad_(False)
    first = torch.optim.SGD(model[:2].parameters(), lr=0.1)
    assert not fanin.check(model, *batch, optimizer=first, select="F17").findings


def test_of_a_frozen_model_no_step_is_taken(batch: Batch) -> None:
    model = network().requires_grad_(False)
    others = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1)
    for optimizer in ("adamw", others):
        found = fanin.check(model, *batch, optimizer=optimizer, steps=1)
        assert found.findings[0].id == "F17"
        assert found.conditions.steps == 0


def test_a_schedule_that_holds_the_rate_at_zero(batch: Batch) -> None:
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 100)
    assert optimizer.param_groups[0]["lr"] == 0
    found = fanin.check(model, *batch, optimizer=optimizer, steps=8)
    assert not [finding for finding in found.findings if finding.id == "F19"]
    assert any("took its initial_lr" in note for note in found.notes)
    assert optimizer.param_groups[0]["lr"] == 0


def state(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Any]:
    """All that is to stay."""
    return [
        {name: value.tolist() for name, value in model.state_dict().items()},
        [None if one.grad is None else one.grad.tolist() for one in model.parameters()],
        [one.requires_grad for one in model.parameters()],
        str(optimizer.state_dict()),
        torch.get_rng_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, amsgrad=True),
    ],
)
@pytest.mark.parametrize("breaks", [False, True])
def test_everything_is_put_back(batch: Batch, make: Callable[[Any], Any], breaks: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Dropout(0.2), nn.Linear(32, 4))
    model[3].bias.requires_grad_(False)
    optimizer = make([one for one in model.parameters() if one.requires_grad])
    nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()  # has states, and gradients are left
    before, held = state(model, optimizer), [one.data_ptr() for one in model.parameters()]
    calls = []

    def loss(output: Tensor, targets: Tensor) -> Tensor:
        calls.append(0)
        if breaks and len(calls) > 5:
            raise ValueError("no loss today")
        return nn.functional.cross_entropy(output, targets)

    if breaks:
        with pytest.raises(FaninError, match="no loss today"):
            fanin.check(model, *batch, loss, optimizer=optimizer, steps=8)
    else:
        first = fanin.check(model, *batch, loss, optimizer=optimizer, steps=8)
        again = fanin.check(model, *batch, loss, optimizer=optimizer, steps=8)
        assert first.to_json() == again.to_json()  # the same masks
    assert state(model, optimizer) == before
    assert [one.data_ptr() for one in model.parameters()] == held


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 8}, r"steps is 8, and there is no optimizer\. Pass optimizer="),
        ({"lr": 0.1}, "lr is 0.1, and there is no optimizer"),
        ({"optimizer": "sgd", "lr": 0.1}, "pass steps=8"),
        ({"optimizer": "sdg", "steps": 8}, "unknown optimizer 'sdg': did you mean 'sgd'"),
        ({"optimizer": "sgd", "steps": -1}, "steps is -1; it is an integer >= 0"),
        ({"optimizer": "sgd", "steps": 8, "lr": 0.0}, "lr is 0.0; give a number above 0"),
        (
            {"optimizer": "sgd", "steps": 8, "lr": math.inf},
            r"lr is inf; give a number above 0, up to 1e\+06",
        ),
        ({"optimizer": 3, "steps": 8}, "optimizer is an int; it is 'sgd', 'adam'"),
        ({"optimizer": 3}, "optimizer is an int; it is 'sgd', 'adam'"),
        ({"optimizer": torch.optim.SGD}, "optimizer is a type; it is 'sgd', 'adam'"),
        ({"optimizer": "sgd", "steps": 8, "targets": None}, "steps need a loss to go down"),
    ],
)
def test_wrong_arguments(batch: Batch, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(FaninError, match=message):
        fanin.check(network(), batch[0], arguments.pop("targets", batch[1]), **arguments)


def test_optimizers_that_cannot_be_copied(batch: Batch) -> None:
    model = network()
    own = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(FaninError, match="an optimizer has its own rate"):
        fanin.check(model, *batch, optimizer=own, lr=0.1, steps=8)
    with pytest.raises(FaninError, match="LBFGS runs the model itself"):
        fanin.check(model, *batch, optimizer=torch.optim.LBFGS(model.parameters()), steps=8)
    with pytest.raises(FaninError, match="steps are those of one model"):
        fanin.check(network, *batch, optimizer="sgd", steps=8, draws=2)
