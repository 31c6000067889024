"""Initializers by name and by expression, and what is said of wrong ones."""

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fanin import FaninError, initializers
from fanin.initializers import get

numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers)
def test_constants_round_trip_through_their_print(value: float) -> None:
    made = initializers.constant(value)
    assert get(repr(made)) == made


@given(numbers, numbers, st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_random_ones_round_trip_through_their_print(a: float, b: float, c: float, d: float) -> None:
    assume(a < b and c < d and max(c, -d) <= 12.5)
    for made in (
        initializers.uniform(a, b),
        initializers.normal(a, abs(b)),
        initializers.truncated_normal(a, abs(b), c, d),
    ):
        assert get(repr(made)) == made


def test_infinite_bounds_round_trip() -> None:
    made = initializers.truncated_normal(0.0, 1.0, -math.inf, 1.0)
    assert get(repr(made)) == made
    both = initializers.truncated_normal(lower=-math.inf, upper=math.inf)
    assert get(repr(both)) == both


@given(
    st.floats(1e-6, 1e6),
    st.sampled_from(["fan_in", "fan_out", "fan_avg"]),
    st.sampled_from(["normal", "uniform", "truncated_normal"]),
)
def test_scaled_ones_round_trip(scale: float, mode: Any, distribution: Any) -> None:
    made = initializers.variance_scaling(scale, mode, distribution)
    assert get(repr(made)) == made


@pytest.mark.parametrize("shape", ["uniform", "normal", "truncated_normal"])
def test_aliases_are_the_same(shape: str) -> None:
    for alias, own in (("xavier", "glorot"), ("kaiming", "he")):
        made = get(f"{own}_{shape}")
        assert get(f"{alias}_{shape}") == made
        assert getattr(initializers, f"{alias}_{shape}") is getattr(initializers, f"{own}_{shape}")
        assert repr(get(f"{alias}_{shape}")) == f"{own}_{shape}()"


def test_spellings_of_one_initializer_are_equal() -> None:
    assert get("  normal(std=0.02)\n") == initializers.normal(std=0.02) == get("normal(0, 0.02)")
    assert get("he_normal()") == get("he_normal") == initializers.he_normal()
    assert get("he_normal(mode='fan_out')") == initializers.variance_scaling(
        2.0, "fan_out", "normal"
    )
    assert get("variance_scaling(2.0, 'fan_in', 'normal')") == get("he_normal")
    assert get("uniform(-0.5, high=+0.5)") == initializers.uniform(-0.5, 0.5)


def test_an_initializer_is_returned_as_it_is() -> None:
    made = initializers.he_normal()
    assert get(made) is made


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("he_norml", "he_normal"),
        ("kaiming_unform", "kaiming_uniform"),
        ("xavier", "xavier_normal"),
        ("Zeros()", "zeros"),
        ("truncatednormal(std=1)", "truncated_normal"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(FaninError, match=rf"unknown initializer '\w+': did you mean '{nearest}'\?"):
        get(wrong)


def test_a_name_like_no_other_lists_all() -> None:
    with pytest.raises(
        FaninError, match=r"unknown initializer 'qqq'. Known are zeros, ones, .*he_norm"
    ):
        get("qqq")


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "he normal",
        "he_normal(",
        "normal(std=x)",
        "normal(std=1+1)",
        "__import__('os').system('true')",
        "normal(*[1, 2])",
        "[normal()]",
        "normal().std",
        "normal(std=1, std=2)",
        "normal()(3)",
        "a\0b",
        "(" * 500,
        "lambda: normal()",
    ],
)
def test_only_names_and_calls_with_literals_are_read(wrong: str) -> None:
    with pytest.raises(
        FaninError, match="is neither a name nor a call with literal arguments, such"
    ):
        get(wrong)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("uniform", "missing a required argument: 'low'"),
        ("normal(1, 2, 3)", "too many positional arguments"),
        ("normal(sigma=1)", "unexpected keyword argument 'sigma'"),
        ("normal('a')", "'a'"),
        ("normal(None)", "None"),
        ("constant(10000000000 ** 3)", "literal arguments"),
        (f"constant({'9' * 400})", "value of constant is 9+; it must be a finite number"),
        ("zeros(1)", "positional argument"),
        ("normal(**{'std': 1})", "cannot be made"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(wrong: str, why: str) -> None:
    with pytest.raises(FaninError, match=why):
        get(wrong)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("constant(1e999)", "value of constant is inf; it must be a finite number"),
        ("normal(std=-1)", "std of normal is -1.0; it must be >= 0"),
        ("uniform(1, -1)", "low must be < high"),
        ("variance_scaling(0)", "scale of variance_scaling is 0; it must be a finite number > 0"),
        ("variance_scaling(1e999)", "scale of variance_scaling is inf"),
        (
            "variance_scaling(1, 'fan')",
            "mode of variance_scaling is 'fan'; allowed are fan_in, fan_out, fan_avg",
        ),
        (
            "variance_scaling(1, 'fan_in', 'gauss')",
            "distribution of variance_scaling is 'gauss'; allowed are normal, uniform, ",
        ),
        ("he_normal('fan_max')", "mode of variance_scaling is 'fan_max'"),
        ("he_normal('')", "mode of variance_scaling is ''"),
    ],
)
def test_values_out_of_range_are_refused(wrong: str, why: str) -> None:
    with pytest.raises(FaninError, match=why):
        get(wrong)


@pytest.mark.parametrize("wrong", [None, 3, b"he_normal", initializers.he_normal, ["he_normal"]])
def test_what_is_no_initializer_is_refused(wrong: Any) -> None:
    with pytest.raises(FaninError, match="give a name, an expression such as 'normal"):
        get(wrong)


@pytest.mark.parametrize(
    "make", [initializers.constant, initializers.normal, initializers.variance_scaling]
)
@pytest.mark.parametrize("wrong", ["a", None, [1]])
def test_factories_refuse_what_is_no_number(make: Any, wrong: Any) -> None:
    with pytest.raises(FaninError, match=r"value|mean|scale"):
        make(wrong)
