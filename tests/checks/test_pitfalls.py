"""Pitfalls of initialization, each found under its id, with a remedy that heals it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Checkup, Finding

Batch = tuple[Tensor, Tensor]
Build = Callable[..., nn.Sequential]


def found(checkup: Checkup, rule: str) -> Finding:
    """The first finding of a rule."""
    return next(one for one in checkup.findings if one.id == rule)


def ids(checkup: Checkup, severity: str = "error") -> set[str]:
    return {one.id for one in checkup.findings if one.severity == severity}


def normal(weight: Tensor) -> Tensor:
    return nn.init.normal_(weight)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid])
def test_all_zeros(network: Build, batch: Batch, activation: Any) -> None:
    checkup = fanin.check(network(4, 64, activation, nn.init.zeros_), *batch)
    one = found(checkup, "F10")
    assert one.severity == "error"
    assert one.layer == "0"
    assert ("he_normal()" if activation is nn.ReLU else "glorot_uniform()") in one.fix
    assert checkup.layers[0].initializer == "zeros"


def test_all_constants(network: Build, batch: Batch) -> None:
    model = network(4, 64, nn.Tanh, lambda weight: nn.init.constant_(weight, 0.01))
    one = found(fanin.check(model, *batch), "F08")
    assert (one.severity, one.value) == ("error", 1.0)
    assert "glorot_uniform()" in one.fix
    assert "constant(0.01)" in one.why


def test_constant_weights_beside_random_biases(batch: Batch) -> None:
    """What `nn.init.constant_(layer.weight, 0.5)` leaves."""
    model = nn.Sequential(nn.Linear(batch[0].shape[1], 32), nn.Tanh(), nn.Linear(32, 10))
    nn.init.constant_(model[0].weight, 0.5)
    (found,) = (one for one in fanin.check(model, *batch).findings if one.id == "F08")
    assert (found.severity, found.layer) == ("warning", "0")
    assert "differ by their biases alone" in found.why
    assert found.fix.startswith("glorot_uniform()")


@pytest.mark.parametrize(("activation", "severity"), [(nn.Tanh, "error"), (nn.Sigmoid, "warning")])
def test_weights_of_variance_one_saturate(
    network: Build, batch: Batch, activation: Any, severity: str
) -> None:
    """Sigmoids less than tanh, and in the calibration networks trained from there."""
    checkup = fanin.check(network(10, 256, activation, normal), *batch)
    one = found(checkup, "F05")
    assert one.severity == severity
    assert one.value is not None
    assert one.value > 0.6
    if activation is nn.Tanh:
        assert one.fix.startswith("glorot_normal() or lecun_normal() for the weights of 0, 2, 4, 6")
    else:
        assert one.fix.startswith("tanh or ReLU in place of sigmoid")
    assert "normal(std=1)" in one.why
    assert ("F06" in ids(checkup, "warning")) == (activation is nn.Sigmoid)
    healed = fanin.check(network(10, 256, nn.Tanh, nn.init.xavier_normal_), *batch)
    assert healed.ok("warning")


def test_relu_with_xavier_at_30_layers(network: Build, batch: Batch) -> None:
    checkup = fanin.check(network(30, 256, nn.ReLU, nn.init.xavier_normal_), *batch)
    # 2**-13 = 1.2e-4 over 26 steps, and this draw is beyond the limit of 1e-4 there.
    for rule, layer in (("F02", "52"), ("F03", "0")):
        one = found(checkup, rule)
        assert (one.severity, one.layer) == ("error", layer)
        assert "he_normal()" in one.fix
        assert "fanin.initialize(model, inputs=x)" in one.fix
    forward, gain = found(checkup, "F02"), found(checkup, "F12")
    # 2**-14 over 28 steps, less the first and the last layer: He et al. 2015.
    assert forward.value == pytest.approx(2**-14, rel=0.5)
    assert "0.70" in forward.why
    assert gain.severity == "note"
    assert gain.value == pytest.approx(2**-0.5, rel=0.03)
    assert "27 such layers" in gain.why
    healed = fanin.check(network(30, 256, nn.ReLU, nn.init.kaiming_normal_), *batch)
    assert healed.ok("note"), healed


def test_exploding_weights_name_the_producer_alone(network: Build, batch: Batch) -> None:
    checkup = fanin.check(network(60, 256, nn.ReLU, normal), *batch)
    found_here = [one for one in checkup.findings if one.id == "F01"]
    # RMS grows by sqrt(128) a layer, and float32 ends at 3.4e38: about 37 layers.
    assert [one.layer for one in found_here] == ["72"]
    # inf, or NaN where the processor's product sums inf and -inf.
    assert "overflow" in found_here[0].measured
    assert "he_normal()" in found_here[0].fix
    assert found(checkup, "F02").severity == "error"


def test_a_parameter_that_is_not_finite(network: Build, batch: Batch) -> None:
    model = network(3, 32, nn.ReLU, nn.init.kaiming_normal_)
    with torch.no_grad():
        model[2].weight[3, 4] = float("nan")
    checkup = fanin.check(model, *batch)
    assert [one.layer for one in checkup.findings if one.id == "F01"] == ["2.weight"]
    assert "NaN" in checkup.to_json()


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Sigmoid])
def test_large_weights_on_the_2_4_1_network(activation: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), activation(), nn.Linear(4, 1), activation())
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -20, 20)
    inputs, targets = torch.tensor([[0.3, 0.9]]), torch.tensor([[0.5]])
    one = found(fanin.check(model, inputs, targets), "F05")
    assert one.severity == "error"
    assert "glorot_normal()" in one.fix
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -0.7, 0.7)
    assert fanin.check(model, inputs, targets).ok()


@pytest.mark.parametrize("layer", [0, 2])
def test_a_large_negative_bias_kills_a_layer(network: Build, batch: Batch, layer: int) -> None:
    model = network(3, 128, nn.ReLU, nn.init.kaiming_normal_)
    nn.init.constant_(model[layer].bias, -30.0)
    checkup = fanin.check(model, *batch)
    one = found(checkup, "F07")
    assert (one.severity, one.layer, one.value) == ("error", str(layer), 1.0)
    assert "zeros() for the bias" in one.fix
    assert "-30" in one.why
    backward = found(checkup, "F03")
    assert (backward.severity, backward.measured) == ("error", "gradient exactly 0")
    assert f"zeros() for the bias of {layer}" in backward.fix


def test_two_zero_weights_in_series_in_a_branch(batch: Batch) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = x + self.b(self.a(x))
            return made

    model = nn.Sequential(Block(), nn.Linear(64, 10))
    nn.init.zeros_(model[0].b.weight)
    assert "F10" not in ids(fanin.check(model, *batch))
    nn.init.zeros_(model[0].a.weight)
    nn.init.zeros_(model[0].a.bias)
    assert found(fanin.check(model, *batch), "F10").severity == "error"


def test_a_residual_stream_that_doubles(batch: Batch) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(128, 128), nn.Linear(128, 128)
            nn.init.kaiming_normal_(self.a.weight)
            nn.init.kaiming_normal_(self.b.weight)

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = x + self.b(torch.relu(self.a(x)))
            return made

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), *[Block() for _ in range(16)], nn.Linear(128, 10))
    one = found(fanin.check(model, *batch), "F15")
    assert one.severity == "error"
    assert one.value is not None
    assert one.value > 2**16  # He et al. 2015 on both layers: a factor of 3 a block
    assert "zeros() for the last weight of each branch" in one.fix
    for block in model[1:-1]:
        nn.init.zeros_(block.b.weight)
    assert fanin.check(model, *batch).ok("warning")


def test_inputs_that_are_not_standardized(network: Build) -> None:
    model = network(3, 64, nn.ReLU, nn.init.kaiming_normal_)
    inputs = torch.rand(128, 64)
    one = found(fanin.check(model, 255 * inputs), "F13")
    assert one.severity == "warning"
    assert "(x - x.mean()) / x.std()" in one.fix
    assert found(fanin.check(model, torch.ones(128, 64)), "F13").severity == "error"
    assert fanin.check(model, (inputs - inputs.mean()) / inputs.std()).ok("warning")


def test_inputs_that_become_alike(network: Build, batch: Batch) -> None:
    """Tanh in the ordered phase, with biases: all inputs tend to one point (Poole et al. 2016)."""
    model = network(20, 256, nn.Tanh, lambda w: nn.init.normal_(w, std=0.5 / w.shape[1] ** 0.5))
    for module in model[::2]:
        nn.init.normal_(module.bias, std=0.5)
    one = found(fanin.check(model, *batch), "F14")
    assert one.severity == "error"
    assert one.value is not None
    assert one.value < 1e-4


def test_a_network_too_narrow_for_its_depth(network: Build, batch: Batch) -> None:
    model = network(30, 10, nn.ReLU, nn.init.kaiming_normal_)
    one = found(fanin.check(model, *batch), "F16")
    assert (one.severity, one.value) == ("error", pytest.approx(2.9))
    assert "draws=10" in one.fix


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_weights_that_are_all_equal(layer: Any) -> None:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.head = layer(8, 16, batch_first=True), nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.layers(x)[0])

    model, inputs = Tagger(), torch.randn(8, 5, 8)
    sound = fanin.check(model, inputs)
    assert sound.ok()
    assert any("recurrent module is one layer" in note for note in sound.notes)
    for parameter in model.layers.parameters():
        nn.init.constant_(parameter, 0.05)
    (found,) = (one for one in fanin.check(model, inputs).findings if one.id == "F08")
    assert (found.severity, found.layer) == ("error", "layers")
    assert found.fix.startswith("glorot_uniform() for layers.weight_ih_l0, layers.weight_hh_l0")


def test_data_that_are_not_finite(network: Build, batch: Batch) -> None:
    inputs = batch[0].clone()
    inputs[3, 5] = float("nan")
    one = found(fanin.check(network(3, 64, nn.ReLU, normal), inputs), "F01")
    assert one.fix.startswith("Clean the data")


def test_one_number_beside_other_inputs_is_no_constant_input() -> None:
    class Timed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.space, self.time = nn.Linear(8, 32), nn.Linear(1, 32)
            self.head = nn.Linear(32, 8)

        def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            return self.head(torch.relu(self.space(x) + self.time(t)))

    found = fanin.check(Timed(), (torch.randn(64, 8), torch.ones(64, 1))).findings
    assert not [one for one in found if one.id == "F13"]
