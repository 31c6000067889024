import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fanin.lab.data.form import DataForm
from fanin.lab.networks.networks import NETWORKS
from fanin.lab.training import stacking
from fanin.lab.training.optimization import Optimization

OPTIMIZATION = Optimization("cross_entropy", "adam")


def reason(make: Callable[[], nn.Module], optimization: Optimization = OPTIMIZATION) -> str | None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 1, 28, 28)
    return stacking.why_not_stacked(
        [make(), make()], optimization, images, torch.randint(10, (2, 3))
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_our_networks_can_be_stacked(name: str) -> None:
    assert reason(lambda: NETWORKS[name].make(DataForm(), nn.GELU, 3)) is None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_our_networks_of_token_ids_can_be_stacked(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    models = [NETWORKS[name].make(DataForm(3, "tokens", (12,), 50), nn.ReLU, 2) for _ in range(2)]
    ids, labels = torch.randint(50, (2, 20, 12)), torch.randint(3, (2, 20))
    assert stacking.why_not_stacked(models, OPTIMIZATION, ids, labels) is None


class Reads(nn.Linear):
    """Decides by a value, which vmap does not allow."""

    def forward(self, images: Tensor) -> Tensor:
        outputs = super().forward(images.flatten(1))
        return 2 * outputs if outputs.sum().item() > 0 else outputs


class Mixes(nn.Linear):
    """Multiplies by a number that is no buffer and differs from model to model."""

    def __init__(self) -> None:
        super().__init__(784, 10)
        self.factor = float(torch.rand(()))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.flatten(1)) * self.factor


def dropping() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Dropout())


def frozen() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    model[1].weight.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Reads(784, 10), "it decides by a value"),
        (dropping, "it draws random numbers"),
        (Mixes, "other numbers than alone"),
        (frozen, "parameters are frozen"),
    ],
)
def test_models_that_cannot(make: Callable[[], nn.Module], expected: str) -> None:

    assert re.search(expected, reason(make) or "")


def test_a_long_reason_is_cut_between_words() -> None:
    told = stacking._tell(RuntimeError("never cut within a word " * 20))
    assert told.startswith("torch.vmap cannot take it (never cut within a word never")
    assert told.endswith(" ...)")
    assert told.removesuffix(" ...)").split()[-1] in {"never", "cut", "within", "a", "word"}
    assert len(told) < 280


def test_the_models_stay_as_they_are() -> None:
    models = [dropping(), dropping()]
    before = [model[1].weight.clone() for model in models]  # type: ignore[index]
    images = torch.rand(2, 3, 1, 28, 28)
    state = torch.get_rng_state()
    stacking.why_not_stacked(models, OPTIMIZATION, images, torch.zeros(2, 3, dtype=torch.int64))
    assert torch.equal(torch.get_rng_state(), state)
    for model, weight in zip(models, before, strict=True):
        assert torch.equal(model[1].weight, weight)  # type: ignore[index]
        assert model[1].weight.grad is None  # type: ignore[index]


def test_capacity() -> None:
    small, large = nn.Linear(10, 10), nn.Linear(20000, 20000, device="meta")
    assert stacking.capacity(small, 1) == stacking.MODELS_IN_A_STACK
    assert stacking.capacity(small, 64) == 8
    assert stacking.capacity(small, 1000) == 1
    assert stacking.capacity(large, 1) == 1
