"""Which initializer a parameter gets: by kind, unless an override says otherwise."""

from typing import Any

import pytest

from fanin import FaninError, initializers
from fanin.axes import parse_axes
from fanin.initializers import constant, he_normal, normal, ones, zeros
from fanin.param import Kind, Param
from fanin.recipes import choose


def param(name: str, kind: Kind, shape: tuple[int, ...] = (4, 3)) -> Param:
    return Param(name, shape, "float32", kind, "Linear", parse_axes(None, shape))


PARAMS = [
    param("0.weight", "weight"),
    param("0.bias", "bias"),
    param("1.weight", "scale"),
    param("1.bias", "shift"),
]


def test_each_kind_has_its_rule() -> None:
    assert choose(PARAMS, "he_normal") == {
        "0.weight": he_normal(),
        "0.bias": zeros(),
        "1.weight": ones(),
        "1.bias": zeros(),
    }


def test_overrides_win_by_name_or_pattern() -> None:
    chosen = choose(PARAMS, he_normal(), {"*.bias": "constant(0.1)", "1.weight": normal()})
    assert list(chosen.values()) == [he_normal(), constant(0.1), normal(), constant(0.1)]


def test_the_last_matching_override_counts() -> None:
    assert choose(PARAMS, "zeros", {"*": "ones", "0.*": "zeros"})["0.bias"] == zeros()
    assert choose(PARAMS, "zeros", {"0.*": "zeros", "*": "ones"})["0.bias"] == ones()


def test_a_name_with_glob_letters_is_found_by_itself() -> None:
    odd = [param("block[0].weight", "weight"), param("block0.weight", "weight")]
    chosen = choose(odd, "zeros", {"block[0].weight": "ones"})
    assert chosen["block[0].weight"] == ones()


def test_a_parameter_without_a_rule_is_named() -> None:
    with pytest.raises(
        FaninError, match=r"gate has shape \(4, 3\) in a Linear, for which there is no rule\. Pass"
    ):
        choose([*PARAMS, param("gate", "other")], "he_normal")
    assert choose([param("gate", "other")], "he_normal", {"gate": "normal"}) == {
        "gate": initializers.normal()
    }


def test_an_override_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(FaninError, match=r"overrides names 1\.wieght, x\*: the model has no such"):
        choose(PARAMS, "he_normal", {"1.wieght": "ones", "x*": "ones", "0.weight": "ones"})


@pytest.mark.parametrize("wrong", ["he_norml", 3, None])
def test_a_wrong_initializer_is_an_error_even_where_no_weight_asks_for_it(wrong: Any) -> None:
    with pytest.raises(FaninError, match="initializer"):
        choose(PARAMS[1:], wrong)
    with pytest.raises(FaninError, match="initializer"):
        choose(PARAMS, "zeros", {"0.bias": wrong})


@pytest.mark.parametrize("wrong", [["0.bias"], "0.bias", 3])
def test_overrides_are_a_mapping(wrong: Any) -> None:
    with pytest.raises(FaninError, match="overrides"):
        choose(PARAMS, "zeros", wrong)
