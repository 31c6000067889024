"""What every initializer promises, tested over all names of the registry."""

import copy
import math
import pickle
from dataclasses import FrozenInstanceError

import ml_dtypes
import numpy as np
import pytest

from fanin import FaninError, initializers
from fanin.initializers import Initializer, get, names

ARGUMENTS = {"constant": "constant(0.25)", "uniform": "uniform(-0.25, 0.5)"}
NAMES = names()
DRAWN = [name for name in NAMES if name not in ("zeros", "ones", "constant")]
SHAPE = (60, 8, 5, 5)
every = pytest.mark.parametrize("name", NAMES)


def made(name: str) -> Initializer:
    return get(ARGUMENTS.get(name, name))


def test_the_registry_has_the_names_of_all_ecosystems() -> None:
    families = [f"{who}_" for who in ("glorot", "xavier", "he", "kaiming")]
    shapes = ("uniform", "normal", "truncated_normal")
    scaled = {family + shape for family in [*families, "lecun_"] for shape in shapes}
    assert set(NAMES) == scaled | {
        "zeros",
        "ones",
        "constant",
        "uniform",
        "normal",
        "truncated_normal",
        "variance_scaling",
    }


@every
def test_it_is_frozen(name: str) -> None:
    initializer = made(name)
    field = next(iter(initializer.__dataclass_fields__))  # type: ignore[attr-defined]
    with pytest.raises(FrozenInstanceError):
        setattr(initializer, field, 3.0)
    with pytest.raises((AttributeError, TypeError)):
        initializer.extra = 1  # type: ignore[attr-defined]


@every
def test_it_is_a_comparable_hashable_value(name: str) -> None:
    initializer = made(name)
    assert initializer == made(name)
    assert hash(initializer) == hash(made(name))
    assert initializer != get("constant(0.123)")
    assert initializer != "he_normal"
    assert copy.deepcopy(initializer) == pickle.loads(pickle.dumps(initializer)) == initializer


@every
def test_it_prints_as_what_makes_it(name: str) -> None:
    initializer = made(name)
    assert get(repr(initializer)) == initializer
    assert eval(repr(initializer), vars(initializers)) == initializer


@every
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_it_makes_arrays_of_the_shape_and_dtype(name: str, dtype: str) -> None:
    array = made(name)(SHAPE, seed=0, name="w", dtype=dtype)
    assert array.shape == SHAPE
    assert array.dtype == (ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    assert made(name)((3, 0), seed=0, name="w", dtype=dtype).shape == (3, 0)


@every
def test_a_slice_is_the_slice_of_the_whole(name: str) -> None:
    whole = made(name)(SHAPE, seed=0, name="w")
    index = (slice(50, 3, -7), ..., 2)
    alone = made(name)(SHAPE, seed=0, name="w", index=index)
    assert alone.tobytes() == whole[index].tobytes()


@every
def test_it_writes_into_out(name: str) -> None:
    out = np.full(SHAPE[::-1], 9, np.float32).T
    assert made(name)(SHAPE, seed=0, name="w", out=out, threads=2) is out
    assert np.array_equal(out, made(name)(SHAPE, seed=0, name="w"))


@every
def test_std_is_that_of_the_values(name: str) -> None:
    """n = 60 000 values: the sample std is within 5 standard errors of `std`, where one is at
    most std * sqrt((kurtosis - 1) / 4n) = std / sqrt(2n): false alarms 6e-7 a name."""
    values = made(name)(SHAPE, seed=2, name="std", dtype="float64")
    std = made(name).std(SHAPE)
    assert abs(values.std() - std) <= 5 * std / math.sqrt(2 * values.size)


@pytest.mark.parametrize("name", DRAWN)
def test_the_mean_is_that_of_the_distribution(name: str) -> None:
    """n = 60 000 values, 5 standard errors: false alarms 6e-7 a name."""
    values = made(name)(SHAPE, seed=2, name="mean", dtype="float64")
    mean = 0.125 if name == "uniform" else 0.0
    assert abs(values.mean() - mean) <= 5 * made(name).std(SHAPE) / math.sqrt(values.size)


@pytest.mark.parametrize("name", DRAWN)
def test_values_depend_on_seed_and_name_alone(name: str) -> None:
    def draw(seed: int, parameter: str) -> bytes:
        return made(name)((30, 20), seed=seed, name=parameter).tobytes()

    assert draw(0, "w") == draw(0, "w")
    assert len({draw(0, "w"), draw(1, "w"), draw(0, "v")}) == 3


@every
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"name": ""}, "name is ''"),
        ({"axes": "out inn kh kw"}, "has 'inn'"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"index": 60}, "index 60 is outside axis 0"),
    ],
)
def test_bad_arguments_leave_out_untouched(
    name: str, arguments: dict[str, object], message: str
) -> None:
    out = np.ones(SHAPE, np.float32)
    with pytest.raises(FaninError, match=message):
        made(name)(SHAPE, **({"seed": 0, "name": "w", "out": out} | arguments))  # type: ignore[arg-type]
    assert (out == 1).all()


def test_constants_need_no_fans() -> None:
    for name in ("zeros", "ones", "constant", "normal", "truncated_normal", "uniform"):
        assert made(name)((7,), seed=0, name="b").shape == (7,)
        assert made(name)((), seed=0, name="b").shape == ()
    assert (initializers.ones()((3,), seed=0, name="b") == 1).all()
    assert (initializers.constant(0.1)(3, seed=0, name="b") == np.float32(0.1)).all()
