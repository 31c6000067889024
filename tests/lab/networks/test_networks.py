import pytest
import torch
from torch import nn

from fanin.lab.data.form import DataForm
from fanin.lab.networks.networks import NETWORKS, SmallConvNet


def test_the_articles_network() -> None:
    network = SmallConvNet()
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert shapes == {
        "conv1.weight": (16, 1, 8, 8),
        "conv1.bias": (16,),
        "conv2.weight": (8, 16, 4, 4),
        "conv2.bias": (8,),
        "head.weight": (10, 648),
        "head.bias": (10,),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_the_outputs_the_depth_and_the_activation_asked_for(name: str) -> None:
    make = NETWORKS[name].make
    layers = {}
    for depth in (2, 5):
        network = make(DataForm(3), nn.Tanh, depth)
        assert network(torch.zeros(4, 1, 28, 28)).shape == (4, 3)
        assert any(isinstance(module, nn.Tanh) for module in network.modules())
        assert not any(isinstance(module, nn.ReLU) for module in network.modules())
        layers[depth] = sum(value.ndim > 1 for value in network.parameters())
    assert (layers[5] > layers[2]) == (NETWORKS[name].depth is not None)


FORMS = [
    *[DataForm(3, "images", shape) for shape in ((3, 32, 32), (1, 8, 8), (4, 5, 40), (2, 1, 1))],
    DataForm(2, "table", (13,)),
    DataForm(2, "table", (1,)),
    DataForm(5, "tokens", (20,), 100),
    DataForm(5, "tokens", (1,), 1),
]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.kind}-{form.shape}")
def test_every_network_takes_all_sizes_of_its_kinds(name: str, form: DataForm) -> None:
    if form.kind not in NETWORKS[name].kinds:
        pytest.skip("of another kind")
    network = NETWORKS[name].make(form, nn.ReLU, 2)
    inputs = torch.zeros(4, *form.shape, dtype=torch.long if form.tokens else torch.float)
    assert network(inputs).shape == (4, form.outputs)


def test_the_resnet_has_no_normalization() -> None:
    names = {
        type(module).__name__
        for module in NETWORKS["resnet"].make(DataForm(), nn.ReLU, 3).modules()
    }
    assert not any("Norm" in name for name in names)
