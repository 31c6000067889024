"""Rules without a graph: overrides by name, and one initializer for all weights."""

from typing import Any

import pytest
import torch
from torch import nn

from fanin import FaninError
from fanin.axes import parse_axes
from fanin.initializers import constant, he_normal, normal, ones, zeros
from fanin.param import Kind, Param
from fanin.recipes import match_overrides, single

NAMES = ["0.weight", "0.bias", "1.weight", "1.bias"]


def param(name: str, kind: Kind, made: float | None = None) -> Param:
    axes = parse_axes(None, (4, 3))
    return Param(name, (4, 3), "float32", kind, "Linear", axes, constant=made)


def test_one_initializer_for_all_weights_and_the_identity_for_the_rest() -> None:
    params = {
        "w": param("w", "weight"),
        "b": param("b", "bias"),
        "g": param("g", "scale", made=1.0),
        "layer": param("layer", "scale", made=1e-6),
        "h": param("h", "shift"),
        "t": param("t", "table"),
        "gate": param("gate", "other"),
    }
    chosen = single("he_normal").choose(params, None, {})
    assert {name: choice.initializer for name, choice in chosen.items()} == {
        "w": he_normal(),
        "b": zeros(),
        "g": ones(),
        "layer": constant(1e-6),
        "h": zeros(),
        "t": he_normal(),
    }


def test_overrides_go_by_name_or_pattern() -> None:
    given = match_overrides(NAMES, {"*.bias": "constant(0.1)", "1.weight": normal()})
    assert given == {"0.bias": constant(0.1), "1.bias": constant(0.1), "1.weight": normal()}
    assert match_overrides(NAMES, None) == {}


def test_the_last_matching_override_counts() -> None:
    assert match_overrides(NAMES, {"*": "ones", "0.*": "zeros"})["0.bias"] == zeros()
    assert match_overrides(NAMES, {"0.*": "zeros", "*": "ones"})["0.bias"] == ones()


def test_a_name_with_glob_letters_is_found_by_itself() -> None:
    odd = ["block[0].weight", "block0.weight"]
    assert match_overrides(odd, {"block[0].weight": "ones"})["block[0].weight"] == ones()


def test_an_override_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(FaninError, match=r"overrides names 1\.wieght, x\*: the model has no such"):
        match_overrides(NAMES, {"1.wieght": "ones", "x*": "ones", "0.weight": "ones"})


@pytest.mark.parametrize("wrong", ["he_norml", 3, None])
def test_a_wrong_initializer_is_an_error(wrong: Any) -> None:
    with pytest.raises(FaninError, match="initializer"):
        single(wrong)
    with pytest.raises(FaninError, match="initializer"):
        match_overrides(NAMES, {"0.bias": wrong})


@pytest.mark.parametrize("wrong", [["0.bias"], "0.bias", 3])
def test_overrides_are_a_mapping(wrong: Any) -> None:
    with pytest.raises(FaninError, match="overrides"):
        match_overrides(NAMES, wrong)


@pytest.mark.parametrize("wrong", [0, None, ("0.bias",)])
def test_keys_of_overrides_are_text(wrong: Any) -> None:
    with pytest.raises(FaninError, match=r"overrides has the key .*as text, such as"):
        match_overrides(NAMES, {wrong: "zeros"})


def test_a_name_is_no_pattern_and_wins_over_patterns() -> None:
    names = ["d.*.weight", "d.a.weight"]
    assert match_overrides(names, {"d.*.weight": "ones"}) == {"d.*.weight": ones()}
    both = {"d.*.weight": "ones", "d.?.weight": "zeros"}
    assert match_overrides(names, both) == {"d.*.weight": ones(), "d.a.weight": zeros()}
    with pytest.raises(FaninError, match=r"overrides names d\.\[x\]\.weight: the model has no"):
        match_overrides(["d.*.weight"], {"d.[x].weight": "ones"})


class Rates(nn.Module):
    """Rates that act through exp, beside rows of tables that act through a function, too."""

    def __init__(self) -> None:
        super().__init__()
        self.log_rate = nn.Parameter(torch.log(torch.arange(1.0, 9.0)).repeat(3, 1))
        self.places = nn.Embedding(3, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = nn.functional.layer_norm(self.places.weight, (8,))
        return x * torch.exp(-torch.exp(self.log_rate)) + rows


@pytest.mark.parametrize("recipe", ["auto", "torch", "llama", "orthogonal"])
def test_computed_constants_are_kept_and_tables_drawn(recipe: str, zoo: Any) -> None:
    made = zoo.choices(Rates(), recipe, torch.zeros(2, 3, 8))
    assert made["log_rate"].initializer is None
    assert made["places.weight"].initializer is not None
    assert made["places.weight"].initializer.std((3, 8)) > 0
