"""Pitfalls of initialization in JAX: the same findings as of the torch model with its weights."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Checkup

Twin = Callable[[nn.Sequential], tuple[Any, dict[str, Any]]]
Rule = Callable[[Tensor], Any]

INPUTS = np.random.default_rng(1).standard_normal((128, 64)).astype(np.float32)
LABELS = np.random.default_rng(2).integers(0, 10, 128)


def network(
    depth: int, width: int, activation: Any, rule: Rule, outputs: int = 10
) -> nn.Sequential:
    """Linear layers, the last one a readout, biases zero, from seed 0."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in pairwise([64, *[width] * (depth - 1), outputs]):
        line = nn.Linear(before, after)
        rule(line.weight)
        nn.init.zeros_(line.bias)
        layers += [line, activation()]
    return nn.Sequential(*layers[:-1])


def with_bias(model: nn.Sequential, layer: int, value: float) -> nn.Sequential:
    nn.init.constant_(model[layer].bias, value)
    return model


def with_nan(model: nn.Sequential) -> nn.Sequential:
    with torch.no_grad():
        model[2].weight[3, 4] = float("nan")
    return model


def ordered() -> nn.Sequential:
    model = network(12, 64, nn.Tanh, lambda w: nn.init.normal_(w, std=0.5 / w.shape[1] ** 0.5))
    for module in model[::2]:
        nn.init.normal_(module.bias, std=0.5)
    return model


def constant(weight: Tensor) -> Tensor:
    return nn.init.constant_(weight, 0.01)


he, normal = nn.init.kaiming_normal_, nn.init.normal_
glorot = nn.init.xavier_normal_

PITFALLS: dict[str, tuple[Callable[[], nn.Sequential], str]] = {
    "zeros, relu": (lambda: network(4, 64, nn.ReLU, nn.init.zeros_), "F10"),
    "zeros, tanh": (lambda: network(4, 64, nn.Tanh, nn.init.zeros_), "F10"),
    "zeros, sigmoid": (lambda: network(4, 64, nn.Sigmoid, nn.init.zeros_), "F10"),
    "constants": (lambda: network(4, 64, nn.Tanh, constant), "F08"),
    "saturated tanh": (lambda: network(4, 256, nn.Tanh, normal), "F05"),
    "saturated sigmoid": (lambda: network(4, 256, nn.Sigmoid, normal), "F05"),
    "vanishing": (lambda: network(12, 64, nn.ReLU, lambda w: glorot(w, 0.5)), "F02 F03 F12"),
    "overflow": (lambda: network(12, 64, nn.ReLU, lambda w: normal(w, std=1e3)), "F01 F02"),
    "not finite": (lambda: with_nan(network(3, 32, nn.ReLU, he)), "F01"),
    "dead first": (lambda: with_bias(network(3, 128, nn.ReLU, he), 0, -30.0), "F07 F03"),
    "dead later": (lambda: with_bias(network(3, 128, nn.ReLU, he), 2, -30.0), "F07"),
    "alike": (ordered, "F14"),
    "narrow": (lambda: network(12, 4, nn.ReLU, he), "F16"),
    "loud readout": (lambda: network(3, 64, nn.ReLU, lambda w: normal(w, std=1.0)), "F11"),
    "healthy relu": (lambda: network(12, 256, nn.ReLU, he), ""),
    "healthy tanh": (lambda: network(5, 256, nn.Tanh, glorot), ""),
    "healthy orthogonal": (
        lambda: network(6, 256, nn.ReLU, lambda w: nn.init.orthogonal_(w, gain=2**0.5)),
        "",
    ),
}


def told(checkup: Checkup) -> list[tuple[str, str, str]]:
    """Id, severity and layer of each finding, the layer by its number."""
    return [
        (finding.id, finding.severity, finding.layer.removeprefix("layers."))
        for finding in checkup.findings
    ]


@pytest.mark.parametrize("name", PITFALLS)
def test_findings_are_those_of_torch(mapped_twin: Twin, name: str) -> None:
    compare(mapped_twin, name)


@pytest.mark.parametrize("name", ["zeros, relu", "constants", "dead later", "loud readout"])
def test_findings_are_the_same_in_all_libraries(twin: Twin, name: str) -> None:
    compare(twin, name)


def compare(twin: Twin, name: str) -> None:
    """Check a chain of torch and its twin."""
    make, wanted = PITFALLS[name]
    theirs = fanin.check(make(), torch.from_numpy(INPUTS), torch.from_numpy(LABELS))
    model, more = twin(make())
    ours = fanin.check(model, INPUTS, LABELS, **more)
    ids = {finding.id for finding in ours.findings}
    assert ids.issuperset(wanted.split()), ours
    assert wanted or ours.ok("warning"), ours
    assert told(ours) == told(theirs)
    assert [layer.initializer for layer in ours.layers] == [
        layer.initializer for layer in theirs.layers
    ]


def test_inputs_that_are_not_standardized(twin: Twin) -> None:
    chain = network(3, 64, nn.ReLU, he)
    model, more = twin(chain)
    raw = np.random.default_rng(0).random((128, 64), np.float32)
    for inputs in (255 * raw, np.ones((128, 64), np.float32), (raw - raw.mean()) / raw.std()):
        theirs = fanin.check(chain, torch.from_numpy(inputs))
        assert told(fanin.check(model, inputs, **more)) == told(theirs)
    wrong = INPUTS.copy()
    wrong[3, 5] = np.nan
    found = next(item for item in fanin.check(model, wrong, **more).findings if item.id == "F01")
    assert found.fix.startswith("Clean the data")
