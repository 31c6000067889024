"""Initializers by name and by expression, and what is said of wrong ones."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fanin
from fanin import FaninError, initializers
from fanin.initializers import _registry, from_dict, get, names, to_dict

numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers)
def test_constants_round_trip_through_their_print(value: float) -> None:
    made = initializers.constant(value)
    assert get(repr(made)) == made


@given(
    st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted),
    st.lists(st.floats(-12.5, 12.5), min_size=2, max_size=2, unique=True).map(sorted),
    st.floats(0, 1),
)
def test_random_ones_round_trip_through_print_and_data(
    ends: list[float], bounds: list[float], p: float
) -> None:
    a, b = ends
    for made in (
        initializers.uniform(a, b),
        initializers.normal(a, abs(b)),
        initializers.truncated_normal(a, abs(b), *bounds),
        initializers.laplace(a, abs(b)),
        initializers.signs(abs(a), p),
    ):
        assert get(repr(made)) == made
        assert from_dict(json.loads(json.dumps(to_dict(made)))) == made


def test_infinite_bounds_round_trip() -> None:
    made = initializers.truncated_normal(0.0, 1.0, -math.inf, 1.0)
    assert get(repr(made)) == made
    both = initializers.truncated_normal(lower=-math.inf, upper=math.inf)
    assert get(repr(both)) == both
    assert to_dict(both)["arguments"]["lower"] == "-inf"
    assert from_dict(json.loads(json.dumps(to_dict(both), allow_nan=False))) == both


@given(
    st.floats(1e-6, 1e6),
    st.sampled_from(["fan_in", "fan_out", "fan_avg", "fan_geo"]),
    st.sampled_from(["normal", "uniform", "truncated_normal"]),
    st.sampled_from([(-2.0, 2.0), (-1.0, math.inf)]),
    st.sampled_from(["fanin", "torch", "jax", "keras"]),
    st.sampled_from([1, 2]),
)
def test_scaled_ones_round_trip(
    scale: float, mode: Any, distribution: Any, bounds: Any, convention: Any, power: int
) -> None:
    bounds = bounds if distribution == "truncated_normal" else (-2.0, 2.0)
    made = initializers.variance_scaling(scale, mode, distribution, bounds, convention, power)
    assert get(repr(made)) == made
    assert from_dict(json.loads(json.dumps(to_dict(made), allow_nan=False))) == made


def test_nested_ones_round_trip() -> None:
    made = initializers.blocks(
        initializers.he_normal(),
        initializers.truncated_normal(lower=-math.inf),
        initializers.zeros(),
        sizes=(1, 2, 3),
    )
    assert get(repr(made)) == made
    assert from_dict(json.loads(json.dumps(to_dict(made), allow_nan=False))) == made


def test_a_large_constant_prints_short_and_is_kept_whole() -> None:
    made = initializers.constant(range(100))
    assert repr(made) == "constant(<100 values of shape (100,), sha256 " + repr(made)[-13:]
    assert len(repr(made)) < 70
    with pytest.raises(FaninError, match="neither a name nor a call with literal"):
        get(repr(made))
    assert from_dict(json.loads(json.dumps(to_dict(made)))) == made
    assert repr(made) != repr(initializers.constant(range(1, 101)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("he_normal", "from_dict takes a name and its arguments"),
        ({"name": "he_normal"}, "from_dict takes a name and its arguments"),
        ({"name": "he_norml", "arguments": {}}, "did you mean 'he_normal'"),
        ({"name": "normal", "arguments": {"sigma": 1}}, "unexpected keyword argument 'sigma'"),
        ({"name": "normal", "arguments": 3}, "arguments is 3"),
        ({"name": "blocks", "arguments": {"initializers": [{"name": "q"}]}}, "from_dict takes"),
    ],
)
def test_data_that_is_no_initializer_is_refused(data: Any, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        from_dict(data)


def test_to_dict_takes_an_initializer() -> None:
    with pytest.raises(FaninError, match="to_dict takes an Initializer"):
        to_dict("he_normal")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("HeNormal", "he_normal"),
        ("He Normal", "he_normal"),
        ("he normal", "he_normal"),
        ("kaiming_normal_", "he_normal"),
        ("torch.nn.init.kaiming_uniform_", "he_uniform"),
        ("nn.init.xavier_normal_", "glorot_normal"),
        ("xavier-uniform", "glorot_uniform"),
        ("keras.initializers.GlorotUniform", "glorot_uniform"),
        ("LeCunNormal", "lecun_normal"),
        ("LecunUniform", "lecun_uniform"),
        ("jax.nn.initializers.lecun_uniform", "lecun_uniform"),
        ("keras.initializers.HeNormal", "he_truncated_normal"),
        ("jax.nn.initializers.glorot_normal", "glorot_truncated_normal"),
        ("flax.linen.initializers.xavier_normal()", "glorot_truncated_normal"),
        ("keras.initializers.TruncatedNormal", "truncated_normal"),
        ("VarianceScaling", "variance_scaling"),
        ("Zeros", "zeros"),
        ("zeros_", "zeros"),
        ("orthogonal_", "orthogonal"),
        ("DeltaOrthogonal", "delta_orthogonal"),
        ("Xavier Fan-In", "xavier_fan_in"),
    ],
)
def test_any_ecosystems_spelling(spelling: str, name: str) -> None:
    assert get(spelling) == get(name)


def test_a_spelled_name_takes_arguments() -> None:
    assert get("TruncatedNormal(std=0.02)") == initializers.truncated_normal(std=0.02)
    assert get("torch.nn.init.normal_ (0.0, 2.0)") == initializers.normal(0.0, 2.0)
    assert get("he normal('fan_out')") == initializers.he_normal("fan_out")


@pytest.mark.parametrize("name", ["trunc_normal_", "RandomNormal", "eye_"])
def test_names_whose_arguments_mean_something_else_are_not_taken(name: str) -> None:
    with pytest.raises(FaninError, match=f"unknown initializer '{name}'"):
        get(name)


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
        ("zeross()", "zeros"),
        ("trunc_normal(std=1)", "truncated_normal"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(FaninError, match=rf"unknown initializer '\w+': did you mean '{nearest}'\?"):
        get(wrong)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("orthogonal(sqrt(2))", "orthogonal(1.4142135623730951)"),
        ("orthogonal(gain=2**0.5)", "orthogonal(1.4142135623730951)"),
        ("orthogonal(math.sqrt(2))", "orthogonal(1.4142135623730951)"),
        ("normal(std=1/np.sqrt(256))", "normal(0.0, 0.0625)"),
        ("uniform(-1/4, +1/4)", "uniform(-0.25, 0.25)"),
        ("normal(std=2**-3)", "normal(0.0, 0.125)"),
        ("normal(std=min(1, math.sqrt(4), max(3, 2)) / log(math.sqrt(16), 2))", "normal(0.0, 0.5)"),
        ("normal(pi - math.pi, 2 * (1 + 1))", "normal(0.0, 4.0)"),
        ("constant([1/2, 2**2])", "constant([0.5, 4.0])"),
        ("blocks(normal(std=1/2), zeros())", "blocks(normal(0.0, 0.5), zeros())"),
    ],
)
def test_numbers_are_computed(text: str, same: str) -> None:
    assert str(get(text)) == same


def test_a_name_like_no_other_lists_the_eight_nearest() -> None:
    with pytest.raises(
        FaninError, match=r"unknown initializer 'sqrt'. Of 56 known, nearest: "
    ) as e:
        get("sqrt")
    listed = str(e.value).partition("nearest: ")[2].rstrip(".").split(", ")
    assert len(listed) == 8
    assert listed[0] == "siren"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "he_normal(",
        "normal(std=x)",
        "normal(std=True+1)",
        "normal(std='1'+'1')",
        "normal(std=sqrt(-1))",
        "normal(std=sqrt(1, 2))",
        "normal(std=log(0))",
        "normal(std=max())",
        "normal(std=(-1)**0.5)",
        "normal(std=1 if 1 else 2)",
        "normal(std=5%2)",
        f"normal(std={'1+' * 20000}1)",
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
        ("constant(9 ** 9 ** 9)", "cannot be computed: Numerical result out of range"),
        ("constant(2 ** 10 ** 10)", "cannot be computed: Numerical result out of range"),
        ("constant(1 / 0)", "cannot be computed: division by zero"),
        ("normal(std=1e308 * 10)", "std of normal is inf"),
        (f"constant({'9' * 400})", r"value of constant is 9+\.\.\.9+; it must be a finite number"),
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
            "mode of variance_scaling is 'fan'; allowed are fan_in, fan_out, fan_avg, fan_geo",
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
@pytest.mark.parametrize("wrong", ["a", None, {}])
def test_factories_refuse_what_is_no_number(make: Any, wrong: Any) -> None:
    with pytest.raises(FaninError, match=r"value|mean|scale"):
        make(wrong)


def test_names_of_papers_and_libraries() -> None:
    assert get("eye") == get("identity")
    assert get("ZerO") == get("zero_hadamard")
    with pytest.raises(FaninError, match="unknown initializer 'zero': did you mean 'zeros'"):
        get("zero")


def test_an_initializer_knows_what_the_catalogue_says() -> None:
    made = initializers.he_normal()
    assert initializers.about(made) == initializers.about("kaiming_normal")
    assert "He et al. 2015" in initializers.about(made).source
    assert initializers.about(initializers.orthogonal(2.0)).name == "orthogonal"
    assert initializers.eye is initializers.identity
    with pytest.raises(FaninError, match="unknown initializer"):
        initializers.about("nothing")


@pytest.fixture
def registered() -> Iterator[None]:
    """What a test registers is forgotten."""
    before = dict(_registry._REGISTERED)
    yield
    _registry._REGISTERED.clear()
    _registry._REGISTERED.update(before)


def make_small(gain: float = 0.5) -> initializers.Initializer:
    """Small values."""
    return initializers.variance_scaling(gain**2, "fan_in", "normal")


@pytest.mark.usefixtures("registered")
def test_a_rule_of_ones_own_has_a_name() -> None:
    initializers.register("small_rule", make_small, "Me 2026, section 1")
    initializers.register("small_rule", make_small)  # again
    made = get("small_rule(gain=1.0)")
    assert repr(made) == "small_rule(gain=1.0)"
    assert made.std((10, 100)) == pytest.approx(0.1)
    whole = made((10, 100), seed=0, name="w")
    assert np.array_equal(whole, make_small(1.0)((10, 100), seed=0, name="w"))
    part = made((10, 100), seed=0, name="w", index=(3, slice(2, 9)))
    assert np.array_equal(part, whole[3, 2:9])
    assert get(repr(made)) == made != get("small_rule(0.6)")
    assert from_dict(to_dict(made)).std((10, 100)) == made.std((10, 100))
    assert "small_rule" not in names()  # the catalogue's
    assert initializers.about(made).source == "Me 2026, section 1"
    assert repr(get("blocks(small_rule(0.5), zeros())")) == "blocks(small_rule(0.5), zeros())"
    initializers.register("turned", lambda: initializers.orthogonal(2.0))
    assert repr(get("turned")) == "turned()"
    assert get("turned()").tolerance("float32") == initializers.orthogonal(2.0).tolerance("float32")


@pytest.mark.usefixtures("registered")
def test_names_that_cannot_be_registered() -> None:
    for taken in ("he_normal", "HeNormal", "kaiming_uniform", "present_rows", "zer_o"):
        with pytest.raises(FaninError, match=f"name '{taken}' is taken, as an initializer"):
            initializers.register(taken, make_small)
    for wrong in ("two words", "1st", "", 3):
        with pytest.raises(FaninError, match=r"register takes an identifier, such as 'small'\."):
            initializers.register(wrong, make_small)  # type: ignore[arg-type]
    with pytest.raises(FaninError, match=r"make is 'zeros'; give a function that returns"):
        initializers.register("nothing", "zeros")  # type: ignore[arg-type]
    initializers.register("wrong_kind", lambda: 3)  # type: ignore[arg-type,return-value]
    with pytest.raises(FaninError, match=r"wrong_kind made 3; it was registered to make Initial"):
        get("wrong_kind")
    with pytest.raises(FaninError, match="name 'wrong_kind' is taken"):
        initializers.register("wrong_kind", make_small)


@pytest.mark.usefixtures("registered")
def test_a_plan_says_what_to_register(tmp_path: Path) -> None:
    from torch import nn

    initializers.register("small_rule", make_small)
    path = fanin.plan(nn.Linear(4, 3), initializer="small_rule(0.5)").save(tmp_path / "plan")
    assert fanin.Plan.load(path)["weight"].std == pytest.approx(0.25)
    _registry._REGISTERED.clear()
    with pytest.raises(FaninError, match=r"unknown initializer 'small_rule'.*If the rule is your"):
        fanin.Plan.load(path)
