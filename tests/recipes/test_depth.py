"""The recipes for depth by name: factors by their formulas, and what a model must have."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError, plan
from fanin.initializers import zeros
from fanin.recipes import find

D, F = 8, 24
SCALED = {"attention.v": (D, D), "attention.o": (D, D), "mlp.gate": (D, F), "mlp.down": (F, D)}
KEPT = {"attention.q": (D, D), "attention.k": (D, D)}


def xavier(inputs: int, outputs: int) -> float:
    return math.sqrt(2 / (inputs + outputs))


def factors(found: dict[str, float], block: str, attention: str = "attention") -> set[float]:
    """Of one block, by what Xavier's std is multiplied; queries and keys must have it as it is."""
    for name, size in KEPT.items():
        name = name.replace("attention", attention)
        assert found[f"{block}.{name}.weight"] == pytest.approx(xavier(*size))
    stds = {size: found[f"{block}.{name}.weight"] for name, size in SCALED.items()}
    return {round(std / xavier(*size), 9) for size, std in stds.items()}


@pytest.mark.parametrize(
    ("recipe", "alone", "encoder", "decoder"),
    [
        ("deepnorm", 24**-0.25, 0.87 * (3**4 * 2) ** (-1 / 16), 24**-0.25),
        (
            "sub_ln",
            math.sqrt(math.log(6)),
            math.sqrt(math.log(6) * math.log(6) / 3),
            math.sqrt(math.log(6)),
        ),
        ("t_fixup", 0.67 * 3**-0.25, 0.67 * 3**-0.25, 18**-0.25),
    ],
)
def test_what_is_scaled(
    recipe: str, alone: float, encoder: float, decoder: float, zoo: Any
) -> None:
    """A decoder of three layers; an encoder of three and a decoder of two that reads it."""
    found = zoo.stds(zoo.decoder(), recipe, zoo.tokens)
    assert factors(found, "layers.1") == {round(alone, 9)}
    assert found["head.weight"] == pytest.approx(xavier(D, 11))
    found = zoo.stds(zoo.translator(), recipe, zoo.tokens)
    assert factors(found, "encoder.2") == {round(encoder, 9)}
    assert factors(found, "decoder.1") == {round(decoder, 9)}
    cross = found["decoder.0.cross.v.weight"] / xavier(D, D)
    assert cross == pytest.approx(decoder)
    table = 18**-0.25 if recipe == "t_fixup" else 1  # (9 N)**-1/4, N = 2 layers that decode
    assert found["words.weight"] == pytest.approx(table / math.sqrt(D))


def test_deepnorm_says_that_alpha_is_missing(zoo: Any) -> None:
    def notes(**options: Any) -> list[str]:
        made = plan(zoo.decoder(**options), zoo.tokens, "deepnorm").notes
        return [note for note in made if "deepnorm" in note]

    (told,) = notes()
    assert "multiplied by alpha = 1.565 before each is added" in told  # 6**(1/4)
    assert told.endswith("the run shows 1.")
    assert notes(alpha=6**0.25) == []
    (told,) = notes(alpha=2.0)
    assert told.endswith("the run shows 2.")


class Normed(nn.Module):
    """A branch with a normalization before its last weight."""

    def __init__(self, inner: bool = True) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 4)
        self.norm = nn.LayerNorm(6) if inner else nn.Identity()

    def forward(self, x: torch.Tensor) -> Any:
        return x + self.down(self.norm(torch.relu(self.up(x))))


def test_sub_ln_asks_for_inner_norms() -> None:
    inputs = torch.zeros(2, 4)
    lacking = plan(nn.Sequential(Normed(False), Normed()), inputs, "sub_ln").notes
    assert any("1 branches have no normalization before their last" in note for note in lacking)
    whole = plan(nn.Sequential(Normed(), Normed()), inputs, "sub_ln").notes
    assert not any("sub_ln" in note for note in whole)


def test_t_fixup_counts_the_norms(zoo: Any) -> None:
    notes = plan(zoo.decoder(), zoo.tokens, "t_fixup").notes
    assert any("without normalizations; the run shows 7" in note for note in notes)


@pytest.mark.parametrize("alpha", [1, 0.5])
def test_ds_init_shrinks_by_the_layer(alpha: float, zoo: Any) -> None:
    found = zoo.stds(zoo.decoder(), f"ds_init({alpha})", zoo.tokens)
    for layer in range(3):
        for name, size in (SCALED | KEPT).items():
            std = alpha / math.sqrt(layer + 1) * xavier(*size)
            assert found[f"layers.{layer}.{name}.weight"] == pytest.approx(std)
    assert found["head.weight"] == pytest.approx(xavier(D, 11))
    with pytest.raises(FaninError, match=r"alpha is 2; give a number above 0, up to 1\."):
        find("ds_init(2)")


class Scaled(nn.Module):
    """A branch times a scalar or a vector."""

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.line = nn.Linear(4, 4)
        self.alpha = nn.Parameter(torch.full((size,), 0.3))

    def forward(self, x: torch.Tensor) -> Any:
        return x + self.alpha * torch.relu(self.line(x))


class Ended(nn.Module):
    """A branch that ends in a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> Any:
        return x + self.norm(self.conv(torch.relu(x)))


@pytest.mark.parametrize(
    ("recipe", "size", "std"),
    [("rezero", 1, math.sqrt(2 / 8)), ("skipinit", 1, math.sqrt(2 / 4))],
)
def test_scalars_start_at_zero(recipe: str, size: int, std: float, zoo: Any) -> None:
    model, inputs = nn.Sequential(Scaled(size), Scaled(size), nn.Linear(4, 4)), torch.zeros(2, 4)
    choices = zoo.choices(model, recipe, inputs)
    assert choices["0.alpha"].initializer == choices["1.alpha"].initializer == zeros()
    found = zoo.stds(model, recipe, inputs)
    assert found["0.line.weight"] == found["2.weight"] == pytest.approx(std)
    assert not any(recipe in note for note in plan(model, inputs, recipe).notes)
    without = plan(nn.Sequential(Ended()), torch.zeros(2, 4, 3, 3), recipe).notes
    assert any("shows no scalar that multiplies a residual branch" in note for note in without)


def test_layerscale_takes_a_value(zoo: Any) -> None:
    model, inputs = nn.Sequential(Scaled(4), nn.Linear(4, 3)), torch.zeros(2, 4)
    made = zoo.choices(model, "layerscale(1e-5)", inputs)
    assert str(made["0.alpha"].initializer) == "constant(1e-05)"
    assert str(made["1.weight"].initializer) == "truncated_normal(0.0, 0.02, -2.0, 2.0)"
    with pytest.raises(FaninError, match=r"value is 0; give a number above 0, up to 10\."):
        find("layerscale(0)")


def test_zero_gamma_is_the_last_norms(zoo: Any) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), Ended(), nn.Flatten(), nn.Linear(16, 2)
    )
    inputs = torch.zeros(2, 3, 4, 4)
    choices = zoo.choices(model, "zero_gamma", inputs)
    assert choices["2.norm.weight"].initializer == zeros()
    assert choices["1.weight"].initializer != zeros()
    found = zoo.stds(model, "zero_gamma", inputs)
    assert found["2.conv.weight"] == pytest.approx(math.sqrt(2 / 36))
    assert found["4.weight"] == 0.01
