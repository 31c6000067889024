"""F09: weights with the same random numbers, by how they work together."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

import fanin
from fanin.checks import Finding

INPUTS = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))


def found(model: nn.Module, inputs: Any = INPUTS, *targets: Any) -> list[Finding]:
    return [one for one in fanin.check(model, inputs, *targets).findings if one.id == "F09"]


def line() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))


def test_one_seed_for_several_layers() -> None:
    layers: list[nn.Module] = []
    for out in (64, 32, 10):
        torch.manual_seed(0)
        layers += [nn.Linear(layers[-2].out_features if layers else 16, out), nn.ReLU()]
    (one,) = found(nn.Sequential(*layers[:-1]))
    assert (one.severity, one.layer) == ("warning", "0.weight")
    assert one.measured.endswith("as 2.weight, 4.weight")
    assert "fanin.initialize(model, seed=0" in one.fix


def test_a_layer_that_was_copied_is_one_finding() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    (one,) = found(model, INPUTS.view(16, 4, 16))
    assert (one.severity, one.layer) == ("warning", "layers.0")
    assert one.measured.endswith("as layers.1, layers.2, in 4 weights")


class Twins(nn.Module):
    """Two heads of one trunk, the second a copy; what they give together is the subclass's."""

    def __init__(self) -> None:
        super().__init__()
        self.one = line()
        self.two = copy.deepcopy(self.one)

    def forward(self, x: Tensor) -> Any:
        return self.one(x), self.two(x)


def test_copies_that_work_side_by_side_are_a_note() -> None:
    (one,) = found(Twins())
    assert (one.severity, one.layer) == ("note", "one")
    assert "as two, in 2 weights" in one.measured


def test_copies_that_never_part_are_a_warning() -> None:
    class Mean(Twins):
        def forward(self, x: Tensor) -> Tensor:
            first, second = super().forward(x)
            return (first + second) / 2

    (one,) = found(Mean())
    assert one.severity == "warning"
    assert "equal gradients" in one.why


def test_copies_that_are_not_trained_are_none() -> None:
    class Target(Twins):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                wanted = self.two(x)
            return self.one(x) - wanted

    class Averaged(Twins):
        """Moved by hand after every step, frozen until then."""

        def __init__(self) -> None:
            super().__init__()
            self.two.requires_grad_(False)

    class Aside(Twins):
        def forward(self, x: Tensor) -> Tensor:
            return self.one(x)

    assert [found(one) for one in (Target(), Averaged(), Aside())] == [[], [], []]
