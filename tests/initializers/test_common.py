"""What every initializer promises, tested over all entries of the registry.

An entry that lacks a fact fails here; so does one that no page of docs/catalogue shows.
"""

import copy
import inspect
import json
import math
import pickle
from dataclasses import FrozenInstanceError, fields
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from fanin import FaninError, initializers
from fanin.initializers import Initializer, from_dict, get, names, to_dict
from fanin.initializers._base import Elementwise
from fanin.initializers._blocks import Blocks
from fanin.initializers._entry import Entry
from fanin.initializers._registry import ENTRIES

ROWS = list(ENTRIES.values())
every = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
# Their values do not depend on the seed.
FIXED = {
    *("zeros", "ones", "constant", "identity", "dirac", "zero_hadamard"),
    *("prior_probability", "class_priors", "forget_gate"),
    *("bilinear", "hippo_legs", "s4d_lin", "s4d_real"),
}
# They have no complex form; the two last for the bounds and the uniform block of the example.
REAL_ONLY = {
    *("uniform", "truncated_normal", "laplace", "signs", "torch_bias"),
    *("orthogonal", "delta_orthogonal", "unit_rows", "identity", "dirac", "zero_hadamard"),
    *("sparse", "variance_scaling", "blocks"),
    *("bilinear", "icnr", "log_uniform", "chrono", "lru_ring", "lru_phase"),
    *("hippo_legs", "s4d_lin", "s4d_real", "mimetic"),
    *("log_normal", "weight_factorization"),
}
BLOCKWISE = ("blocks", "forget_gate")


def made(row: Entry) -> Initializer:
    return get(row.example)


def draw(row: Entry, seed: int = 0, name: str = "w", **arguments: Any) -> Any:
    return made(row)(row.shape, seed=seed, name=name, **arguments)


@every
def test_its_entry_says_everything(row: Entry) -> None:
    for fact in (row.name, row.reads, row.preserves, row.source, row.example):
        assert fact
        assert fact.strip() == fact
    assert "(" in row.example
    assert math.prod(row.shape) > 0
    assert getattr(initializers, row.name) == row.make or row.make.__self__ is getattr(  # type: ignore[attr-defined]
        initializers, row.name
    )
    signature = inspect.signature(row.make)
    assert all(one.annotation is not one.empty for one in signature.parameters.values())


@every
def test_its_docstring_follows_the_template(row: Entry) -> None:
    if row.name in initializers._PRESETS:
        return  # a row of data: its page is made from the formula
    text = inspect.getdoc(row.make) or ""
    first, _, rest = text.partition("\n")
    assert first.endswith(".")
    assert len(first) < 100
    for label in ("Formula", "Reads", "Preserves", "Units", "Source", "Differs"):
        assert f"{label}: " in rest, label
    assert "\n>>> " in rest
    assert "torch" in rest, "say how the libraries differ"


def test_the_registry_has_the_names_of_all_ecosystems() -> None:
    families = [f"{who}_" for who in ("glorot", "xavier", "he", "kaiming", "lecun")]
    shapes = ("uniform", "normal", "truncated_normal")
    assert {family + shape for family in families for shape in shapes} <= set(names())
    assert len(set(names())) == len(names()) == len(ROWS) + 6


@every
def test_it_is_frozen(row: Entry) -> None:
    initializer = made(row)
    with pytest.raises(FrozenInstanceError):
        setattr(initializer, fields(initializer)[0].name, 3.0)  # type: ignore[arg-type]
    with pytest.raises((AttributeError, TypeError)):
        initializer.extra = 1  # type: ignore[attr-defined]


@every
def test_it_is_a_comparable_hashable_value(row: Entry) -> None:
    initializer = made(row)
    assert initializer == made(row)
    assert hash(initializer) == hash(made(row))
    assert initializer != get("constant(0.123)")
    assert initializer != row.example
    assert copy.deepcopy(initializer) == pickle.loads(pickle.dumps(initializer)) == initializer


@every
def test_it_prints_as_what_makes_it(row: Entry) -> None:
    initializer = made(row)
    assert get(repr(initializer)) == initializer
    assert eval(repr(initializer), vars(initializers)) == initializer


@every
def test_it_is_plain_data_and_back(row: Entry) -> None:
    data = to_dict(made(row))
    assert set(data) == {"name", "arguments"}
    assert from_dict(json.loads(json.dumps(data, allow_nan=False))) == made(row)


@every
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_it_makes_arrays_of_the_shape_and_dtype(row: Entry, dtype: str) -> None:
    array = draw(row, dtype=dtype)
    assert array.shape == row.shape
    assert array.dtype == (ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    wide = draw(row, dtype="float64")
    error = {"float32": 2**-22, "float64": 0.0, "bfloat16": 2**-8, "float16": 2**-10}[dtype]
    # The 32-bit cell, which float64 refines, is wider where few words are left: 1e-3 of a std.
    assert np.abs(array.astype(float) - wide).max() <= error * np.abs(wide).max() + (
        0 if dtype == "float64" else 1e-3 * made(row).std(row.shape) + 1e-5
    )


@every
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_it_makes_complex_values_or_says_that_it_has_none(row: Entry, dtype: str) -> None:
    """E|z|**2 within 5 standard errors, n = 60 000: false alarms 6e-7 an entry."""
    out = np.full(row.shape, 7, dtype)
    if row.name in REAL_ONLY:
        with pytest.raises(FaninError, match=r"has no complex form.*allowed dtypes are float32"):
            draw(row, out=out)
        assert (out == 7).all()
        return
    values = draw(row, seed=2, out=out)
    assert values is out
    exact = values.astype("complex128")
    square = np.abs(exact - (exact.mean() if row.name in FIXED else 0)) ** 2
    error = 5 * square.std() / math.sqrt(square.size) + 1e-6 * square.mean() + 1e-25
    assert abs(square.mean() - made(row).std(row.shape) ** 2) <= error
    assert (values.imag == 0).all() == (row.name in FIXED)
    index = (slice(None, None, -2), ...)
    assert draw(row, seed=2, dtype=dtype, index=index).tobytes() == values[index].tobytes()


@every
def test_a_slice_is_the_slice_of_the_whole(row: Entry) -> None:
    """To the bit; Whole ones on one machine."""
    whole = draw(row)
    last = (..., 1) if len(row.shape) > 1 else ()
    for index in ((slice(50, 1, -7), *last), (slice(0, 2),), slice(3, 3), (-1, *last)):
        assert draw(row, index=index).tobytes() == whole[index].tobytes()


@every
def test_it_writes_into_out(row: Entry) -> None:
    out = np.full(row.shape[::-1], 9, np.float32).T
    assert draw(row, out=out, threads=2) is out
    assert np.array_equal(out, draw(row))


@every
def test_std_is_that_of_the_values(row: Entry) -> None:
    """n = 60 000 values mostly: the sample's variance is within 5 standard errors of std**2,
    an error estimated from the sample: false alarms 6e-7 an entry."""
    values = draw(row, seed=2, name="std", dtype="float64")
    square = (values - values.mean()) ** 2
    error = 5 * square.std() / math.sqrt(square.size) + 1e-9 * square.mean() + 1e-25
    assert abs(square.mean() - made(row).std(row.shape) ** 2) <= error


@every
def test_the_mean_is_that_of_the_distribution(row: Entry) -> None:
    """n = 60 000 values mostly, 5 standard errors: false alarms 6e-7 an entry."""
    initializer = made(row)
    if not isinstance(initializer, Elementwise) or isinstance(initializer, Blocks):
        return
    values = draw(row, seed=2, name="mean", dtype="float64")
    mean = initializer.distribution(row.shape).mean_of_values()
    assert abs(values.mean() - mean) <= 5 * values.std() / math.sqrt(values.size) + 1e-12


@every
def test_values_depend_on_seed_and_name_alone(row: Entry) -> None:
    assert draw(row).tobytes() == draw(row).tobytes()
    different = {draw(row, seed, name).tobytes() for seed, name in ((0, "w"), (1, "w"), (0, "v"))}
    assert len(different) == (1 if row.name in FIXED else 3)


@every
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"name": ""}, "name is ''"),
        ({"axes": "out inn kh kw"}, "has 'inn'"),
        ({"dtype": "int8"}, "dtype is 'int8'"),
        ({"index": 60_000}, "index 60000 is outside axis 0"),
        ({"index": (..., [0])}, "is not an integer or a slice"),
    ],
)
def test_bad_arguments_leave_out_untouched(
    row: Entry, arguments: dict[str, object], message: str
) -> None:
    out = np.full(row.shape, 7, np.float32)
    with pytest.raises(FaninError, match=message):
        draw(row, **({"out": out} | arguments))
    assert (out == 7).all()


def test_constants_need_no_fans() -> None:
    for name in ("zeros", "ones", "constant(0.1)", "normal", "laplace", "signs", "uniform(0, 1)"):
        assert get(name)((7,), seed=0, name="b").shape == (7,)
        assert get(name)((), seed=0, name="b").shape == ()
    assert (initializers.ones()((3,), seed=0, name="b") == 1).all()
    assert (initializers.constant(0.1)(3, seed=0, name="b") == np.float32(0.1)).all()
