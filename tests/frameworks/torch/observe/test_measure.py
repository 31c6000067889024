"""The probe that lsuv measures with: what it reports, and that it leaves no trace."""

import math
import random

import numpy as np
import pytest
import torch
from torch import nn

from fanin import FaninError, plan
from fanin.frameworks.torch.observe._measure import TorchProbe
from fanin.initializers import constant, normal, zeros
from fanin.initializers._orthogonal import Orthogonal
from fanin.recipes import lsuv


class Attention(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.line = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        y = self.norm(x)
        x = x + scale * self.attention(y, y, y, need_weights=False)[0]
        result: torch.Tensor = self.line(torch.relu(x))
        return result


def batch(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def outputs(model: nn.Module, inputs: torch.Tensor) -> dict[str, float]:
    """The variance of what every module returns first."""
    found: dict[str, float] = {}

    def look(name: str):  # type: ignore[no-untyped-def]
        def hook(module: nn.Module, args: object, output: torch.Tensor) -> None:
            first = output[0] if isinstance(output, tuple) else output
            found.setdefault(name, float(first.double().var(correction=0)))

        return hook

    handles = [one.register_forward_hook(look(name)) for name, one in model.named_modules()]
    with torch.no_grad():
        model(inputs)
    for handle in handles:
        handle.remove()
    return found


def test_a_deep_network_has_variance_one_everywhere() -> None:
    layers = [one for _ in range(12) for one in (nn.Linear(32, 32), nn.Tanh())]
    model, inputs = nn.Sequential(nn.Linear(8, 32), *layers, nn.Linear(32, 4)), batch(64, 8) * 5
    made = plan(model, inputs, lsuv(TorchProbe(model, inputs)))
    applied = made.apply(model)
    found = outputs(model, inputs)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            assert found[name] == pytest.approx(1, abs=0.011), name
    gain = made["0.weight"].initializer
    assert isinstance(gain, Orthogonal)
    assert gain.gain < 0.5  # the inputs are large
    applied.verify(model)


def test_convolutions_in_training_mode() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(), nn.Conv2d(16, 8, 3)
    )
    inputs = batch(8, 3, 8, 8)
    running = model[1].running_mean.clone()
    made = plan(model, inputs, lsuv(TorchProbe(model, inputs)))
    assert torch.equal(model[1].running_mean, running)
    assert all(module.training for module in model.modules())
    made.apply(model)
    model[3].eval()
    found = outputs(model, inputs)
    assert found["0"] == pytest.approx(1, abs=0.011)
    assert found["4"] == pytest.approx(1, abs=0.011)


def test_attention_is_one_unit() -> None:
    model, inputs = Attention(), batch(4, 6, 16)
    made = plan(model, inputs, lsuv(TorchProbe(model, inputs)))
    packed = made["attention.in_proj_weight"].initializer
    assert isinstance(packed, Orthogonal)
    assert packed.gain == 1
    made.apply(model)
    found = outputs(model, inputs)
    assert found["attention"] == pytest.approx(1, abs=0.011)
    assert found["line"] == pytest.approx(1, abs=0.011)


def test_what_is_given_stays() -> None:
    model, inputs = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)), batch(16, 8)
    recipe = lsuv(TorchProbe(model, inputs))
    made = plan(model, inputs, recipe, overrides={"0.weight": normal(std=3.0)})
    assert made["0.weight"].initializer == normal(std=3.0)
    made.apply(model)
    assert outputs(model, inputs)["1"] == pytest.approx(1, abs=0.011)


def test_inputs_by_name_and_wrapped_models() -> None:
    model, x = Attention(), batch(2, 3, 16)
    for one in (model, nn.DataParallel(model)):
        probe = TorchProbe(one, {"x": x, "scale": 0.0})
        probe.write("line.weight", zeros(), None)
        probe.write("line.bias", constant(0.5), None)
        assert probe.variance("line") == 0
        assert probe.variance("norm") == pytest.approx(1, abs=1e-4)


def test_the_model_is_as_it_was() -> None:
    model, inputs = Attention().eval(), batch(2, 3, 16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    probe = TorchProbe(model, inputs)
    probe.write("line.weight", zeros(), None)
    assert math.isfinite(probe.variance("attention"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(FaninError, match=r"the model does not run on these inputs: TypeError: "):
        TorchProbe(model, {"y": inputs}).variance("line")
    assert not any(module._forward_hooks for module in model.modules())


class Stateful(nn.Module):
    """Does to itself, and to the random states, whatever a forward may do."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.line = nn.Linear(8, 8)
        self.drop = nn.Dropout(0.5)
        self.history: list[list[torch.Tensor]] = [[]]
        self.plain = torch.zeros(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(self.norm(x)) + torch.rand(8) + random.random() + np.random.rand()
        self.plain.add_(1)
        self.last = self.line(x)
        self.history[0].append(self.last)
        return self.last


@pytest.mark.parametrize("module", ["line", "drop", ""])
def test_a_run_leaves_no_marks(module: str) -> None:
    model, inputs = Stateful(), batch(4, 8)
    attributes = {one: set(vars(one)) for one in model.modules()}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    probe = TorchProbe(model, inputs)
    first = probe.variance(module)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    assert {one: set(vars(one)) for one in model.modules()} == attributes
    assert model.history == [[]]
    assert torch.equal(model.plain, torch.zeros(8))
    assert all(one.training and not one._forward_hooks for one in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    torch.manual_seed(5), random.seed(5), np.random.seed(5)
    assert probe.variance(module) == first  # whatever the states of the caller


def test_the_models_own_errors_are_said_with_their_place() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Sequential(nn.Linear(7, 8)), nn.Linear(8, 8))
    with pytest.raises(
        FaninError, match=r"^1\.0 \(Linear\) does not run on these inputs: RuntimeError: "
    ):
        TorchProbe(model, batch(4, 8)).variance("2")
    table = nn.Sequential(nn.Embedding(3, 4), nn.Linear(4, 4))
    with pytest.raises(
        FaninError, match=r"^0 \(Embedding\) does not run .*: IndexError: index out of range"
    ):
        TorchProbe(table, torch.tensor([5])).variance("1")
    with pytest.raises(FaninError, match="weight has no shape yet; run the model once"):
        TorchProbe(nn.LazyLinear(3), batch(4, 8))


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(FaninError, match=r"weight of shape \(2, 3\) has no memory, and measuring"):
        TorchProbe(nn.Linear(3, 2, device="meta"), batch(4, 3))
    model = nn.ModuleDict({"idle": nn.Linear(3, 2)})
    model.forward = lambda x: x  # type: ignore[method-assign,assignment,misc]
    with pytest.raises(FaninError, match=r"idle did not run on these inputs"):
        TorchProbe(model, batch(4, 3)).variance("idle")
    with pytest.raises(FaninError, match=r"the model did not run .* no tensor of real numbers"):
        TorchProbe(model, torch.tensor([1])).variance("")
