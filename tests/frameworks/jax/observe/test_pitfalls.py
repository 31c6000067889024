"""Pitfalls of initialization in JAX: the same findings as of the torch model with its weights."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
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


def half_constant() -> nn.Sequential:
    """What `nn.init.constant_(layer.weight, 0.5)` leaves beside biases of torch."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    nn.init.constant_(model[0].weight, 0.5)
    return model


he, normal = nn.init.kaiming_normal_, nn.init.normal_
glorot = nn.init.xavier_normal_

PITFALLS: dict[str, tuple[Callable[[], nn.Sequential], str]] = {
    "zeros, relu": (lambda: network(4, 64, nn.ReLU, nn.init.zeros_), "F10"),
    "zeros, tanh": (lambda: network(4, 64, nn.Tanh, nn.init.zeros_), "F10"),
    "zeros, sigmoid": (lambda: network(4, 64, nn.Sigmoid, nn.init.zeros_), "F10"),
    "constants": (lambda: network(4, 64, nn.Tanh, constant), "F08"),
    "constants beside biases": (half_constant, "F08"),
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
    """Id, severity and layer of each finding, the layer by its numbers."""
    return [
        (finding.id, finding.severity, finding.layer.replace("layers.", ""))
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
    ours = check_both(twin, make(), INPUTS, LABELS)
    ids = {finding.id for finding in ours.findings}
    assert ids.issuperset(wanted.split()), ours
    assert wanted or ours.ok("warning"), ours


def check_both(twin: Twin, chain: nn.Sequential, inputs: Any, targets: Any) -> Checkup:
    """A checkup of the twin, which tells what that of the chain tells."""
    theirs = fanin.check(chain, torch.from_numpy(inputs), torch.from_numpy(targets))
    model, more = twin(chain)
    ours = fanin.check(model, inputs, targets, **more)
    assert told(ours) == told(theirs)
    assert [layer.initializer for layer in ours.layers] == [
        layer.initializer for layer in theirs.layers
    ]
    return ours


def test_large_weights_on_the_2_4_1_network(mapped_twin: Twin) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.Tanh())
    inputs, targets = np.array([[0.3, 0.9]], np.float32), np.array([[0.5]], np.float32)
    for size, found in ((20, {"F05"}), (0.7, set[str]())):
        for parameter in model.parameters():
            nn.init.uniform_(parameter, -size, size)
        port, more = mapped_twin(model)
        ours = fanin.check(port, inputs, targets, **more)
        errors = {item.id for item in ours.findings if item.severity == "error"}
        # F03 may be told beside F05: where tanh is flat, the last bits of a slope decide.
        assert errors - {"F03"} == found, errors
        assert found or not errors


def test_two_zero_weights_in_series_in_a_branch(mapped_twin: Twin, branch: Any) -> None:
    torch.manual_seed(0)
    block = branch(nn.Linear(64, 64), nn.Linear(64, 64))
    model = nn.Sequential(block, nn.Linear(64, 10))
    nn.init.zeros_(block.inner[1].weight)
    ours = check_both(mapped_twin, model, INPUTS, LABELS)
    assert "F10" not in {item.id for item in ours.findings}
    nn.init.zeros_(block.inner[0].weight)
    nn.init.zeros_(block.inner[0].bias)
    ours = check_both(mapped_twin, model, INPUTS, LABELS)
    assert "F10" in {item.id for item in ours.findings}


def test_a_residual_stream_that_doubles(mapped_twin: Twin, branch: Any) -> None:
    torch.manual_seed(0)
    blocks = [branch(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)) for _ in range(8)]
    for block in blocks:
        for line in block.inner[::2]:
            he(line.weight)
    model = nn.Sequential(*blocks, nn.Linear(64, 10))
    theirs = fanin.check(model, torch.from_numpy(INPUTS), torch.from_numpy(LABELS))
    port, more = mapped_twin(model)
    ours = fanin.check(port, INPUTS, LABELS, **more)
    # An addition of Equinox says of no module that it is there.
    assert [line[:2] for line in told(ours)] == [line[:2] for line in told(theirs)]
    assert "F15" in {item.id for item in ours.findings}


def test_recurrent_weights_that_are_all_equal() -> None:
    class Tagger(nnx.Module):
        def __init__(self) -> None:
            self.layers = nnx.RNN(nnx.OptimizedLSTMCell(8, 16, rngs=nnx.Rngs(0)))
            self.head = nnx.Linear(16, 3, rngs=nnx.Rngs(0))

        def __call__(self, x: Any) -> Any:
            return self.head(self.layers(x))

    model, inputs = nnx.eval_shape(Tagger), INPUTS[:8, :40].reshape(8, 5, 8)
    fanin.initialize(model, 0, inputs)
    assert fanin.check(model, inputs).ok()
    for _, held in nnx.iter_graph(model.layers):
        if isinstance(held, nnx.Param):
            held.set_value(jnp.full_like(held[...], 0.05))
    found = [item for item in fanin.check(model, inputs).findings if item.id == "F08"]
    assert {item.severity for item in found} == {"error"}
    assert all("layers" in item.layer for item in found)


def test_one_number_beside_other_inputs_is_no_constant_input() -> None:
    params = {name: jnp.ones((size, 32)) / 9 for name, size in (("space", 64), ("time", 1))}

    def apply(params: Any, x: Any, t: Any) -> Any:
        return jax.nn.relu(x @ params["space"] + t @ params["time"])

    found = fanin.check(apply, (INPUTS, np.ones((128, 1), np.float32)), params=params).findings
    assert "F13" not in {item.id for item in found}


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
