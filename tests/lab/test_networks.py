import torch

from fanin.lab.networks import SmallConvNet


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


def test_the_head_has_one_output_for_each_class() -> None:
    assert SmallConvNet(classes=3)(torch.zeros(1, 1, 28, 28)).shape == (1, 3)
