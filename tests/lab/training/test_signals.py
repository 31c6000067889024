import pytest
import torch
from torch import nn

from fanin.lab.training.optimization import Optimization
from fanin.lab.training.signals import measure

OPTIMIZATION = Optimization("quadratic", "adam")


def test_the_rms_of_outputs_and_gradients_by_hand() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False), nn.Linear(2, 1, bias=False))
    nn.init.constant_(model[1].weight, 0.5)
    nn.init.constant_(model[2].weight, 3.0)
    images = torch.ones(5, 1, 2, 2)
    found = measure(model, OPTIMIZATION, images, torch.zeros(5, 1))
    assert found.layers == ("1", "2")
    assert found.forward == pytest.approx((2.0, 12.0))
    # The loss is the mean of 12**2 over 5 images: its gradient is 2 * 12 / 5, and 3 times that.
    assert found.backward == pytest.approx((14.4, 4.8))


def test_the_model_stays_as_it_was() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Dropout(), nn.BatchNorm1d(2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images, state = torch.rand(5, 1, 2, 2), torch.get_rng_state()
    measure(model, OPTIMIZATION, images, torch.zeros(5, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not model[1]._forward_hooks
    assert model[1].weight.grad is None
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
