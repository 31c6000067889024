"""Laplace, signs and the complex distributions: made on the host from the words."""

import hashlib
import json
import math
import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fanin import FaninError, Stream
from fanin.streams import (
    ComplexNormal,
    ComplexTruncatedNormal,
    ComplexUniform,
    Distribution,
    Laplace,
    Normal,
    Signs,
    Uniform,
    _output,
)
from fanin.streams._complex import cut_modulus
from fanin.streams._inversion import Draws
from fanin.streams._scales import InverseSoftplus, LogOfUniform, LogUniform, RingRate

GOLDEN = Path(__file__).parents[1] / "golden" / "streams_v1.txt"
LINE = re.compile(r'(?:made|sum) (\w+) (\d+) (".*") (\d+) (\w+)\((.*)\) : (.*)')
SCALES = (LogUniform, InverseSoftplus, LogOfUniform, RingRate)
HOST_MADE = (Laplace, Signs, *SCALES, ComplexNormal, ComplexUniform, ComplexTruncatedNormal)
KINDS: dict[str, Any] = {one.kind: one for one in HOST_MADE}
REAL = [Laplace(0.5, 2.0), Signs(0.5, 0.3)]
COMPLEX = [ComplexNormal(2.0), ComplexUniform(2.0), ComplexTruncatedNormal(2.0, 1.5)]
BITS: dict[int, Any] = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def golden(kind: str) -> list[tuple[Any, ...]]:
    lines = [one for one in GOLDEN.read_text("utf-8").splitlines() if one.startswith(f"{kind} ")]
    return [match.groups() for line in lines if (match := LINE.fullmatch(line))]


def of(kind: str, arguments: str) -> Distribution:
    return KINDS[kind](*map(float, arguments.split(",")))


def dtypes(distribution: Distribution) -> tuple[str, str]:
    complex_ = distribution.kind.startswith("complex")
    return ("complex64", "complex128") if complex_ else ("float32", "float64")


def test_every_back_end_gives_the_golden_values(backend: str) -> None:
    found = golden("made")
    assert {(row[0], row[4]) for row in found} == {
        *((dtype, kind) for kind in KINDS if "complex" not in kind for dtype in _output.REAL),
        *((dtype, kind) for kind in KINDS if "complex" in kind for dtype in _output.COMPLEX),
    }
    for dtype, seed, name, start, kind, arguments, bits in found:
        stream, first = Stream(int(seed), json.loads(name)), int(start)
        values = stream.draw(of(kind, arguments), 2**62, dtype, slice(first, first + 8))
        parts = values.view(values.real.dtype) if dtype in _output.COMPLEX else values
        drawn = [f"{one:0{2 * parts.itemsize}x}" for one in parts.view(BITS[parts.itemsize])]
        assert drawn == bits.split(), (dtype, seed, name, kind, arguments)


def test_every_back_end_gives_the_golden_sums(backend: str) -> None:
    rows = golden("sum")
    assert len(rows) == 44
    for dtype, _, _, count, kind, arguments, digest in rows:
        values = Stream(0, "a").draw(of(kind, arguments), int(count), dtype)
        assert hashlib.sha256(values).hexdigest() == digest, (dtype, kind, arguments)


@pytest.mark.parametrize("one", [*REAL, *COMPLEX], ids=repr)
@pytest.mark.parametrize("wide", [0, 1])
def test_a_slice_is_the_slice_of_the_whole(one: Distribution, wide: int) -> None:
    """Beyond one tile of 2**16 values, in any order of the axes."""
    dtype, shape, order = dtypes(one)[wide], (7, 300, 50), (1, 2, 0)
    whole = Stream(1, "w").draw(one, shape, dtype, order=order)
    for index in ((slice(6, 1, -2), ..., 3), (2, 5), (slice(None), 7), (1, 2, 3), slice(3, 3)):
        alone = Stream(1, "w").draw(one, shape, dtype, index, order=order)
        assert alone.tobytes() == whole[index].tobytes()


@pytest.mark.parametrize("shape", [(3, 70_000), (2, 2, 33_000), (140_000,), ()])
def test_tiles_join_to_the_values_of_one_run(shape: tuple[int, ...]) -> None:
    """Long rows are cut inside, short ones between; addresses run on."""
    flat = Stream(1, "w").draw(REAL[0], max(math.prod(shape), 1))
    whole = Stream(1, "w").draw(REAL[0], shape)
    assert whole.tobytes() == flat.tobytes()
    few = Stream(1, "w").draw(REAL[0], flat.size, index=slice(flat.size - 1, None, -65_537))
    assert np.array_equal(few, flat[::-65_537])


def test_a_large_draw_needs_little_memory_beside_its_own() -> None:
    """16 MB of values; the tiles' arrays have 2**16 doubles each."""
    out = np.empty(1 << 22, np.float32)
    Stream(1, "w").draw(REAL[0], 10)
    tracemalloc.start()
    Stream(1, "w").draw(REAL[0], out.size, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


@pytest.mark.parametrize("one", [*REAL, *COMPLEX], ids=repr)
def test_it_writes_into_strided_memory(one: Distribution) -> None:
    out = np.full((60, 40), 9, dtypes(one)[0]).T[::2]
    assert Stream(1, "w").draw(one, (20, 60), out=out, dtype=dtypes(one)[0]) is out
    assert np.array_equal(out, Stream(1, "w").draw(one, (20, 60), dtypes(one)[0]))


@pytest.mark.parametrize(
    ("one", "law"),
    [
        (Laplace(0.5, 2.0), stats.laplace(0.5, 2.0)),
        (Laplace(0.0, 1.0), stats.laplace()),
    ],
    ids=("wide", "standard"),  # the same in every process
)
def test_laplace_has_the_law(one: Laplace, law: Any) -> None:
    """Kolmogorov-Smirnov, n = 200 000, fixed seed: false alarms 1e-6."""
    values = Stream(3, "law").draw(one, 200_000, "float64")
    assert stats.kstest(values, law.cdf).pvalue > 1e-6


@given(st.integers(0, 2**32 - 1))
def test_laplace_is_the_inverse_of_its_word(word: int) -> None:
    """To 4e-16 of its size: n = all words in principle, against SciPy's own quantile."""
    draws = Draws(np.array([word], np.uint32), None)
    mirrored = Draws(np.array([word ^ 0xFFFFFFFF], np.uint32), None)
    found = Laplace(0.0, 1.0).values(draws)
    u = (word + 0.5) / 2**32
    exact = math.log1p(2 * u - 1) if u < 0.5 else -math.log1p(1 - 2 * u)
    assert found[0] == pytest.approx(exact, rel=4e-16)
    assert found[0] == -Laplace(0.0, 1.0).values(mirrored)[0]


def test_laplace_never_falls_with_the_word() -> None:
    words = np.concatenate([np.arange(2**16), np.linspace(0, 2**32 - 1, 2**16)]).astype(np.uint32)
    words.sort()
    assert (np.diff(Laplace(0.0, 1.0).values(Draws(words, None))) >= 0).all()


def test_the_largest_laplace_is_within_reach() -> None:
    ends = Draws(np.array([0, 2**32 - 1], np.uint32), np.array([0, 2**32 - 1], np.uint32))
    one = Laplace(0.0, 1.0)
    assert 43 < abs(one.values(ends)).min() <= abs(one.values(ends)).max() < one.reach("float64")
    assert abs(one.values(Draws(ends.high, None))).max() < one.reach("float32")


@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_signs_are_as_many_as_p_says(p: float, dtype: str) -> None:
    """n = 200 000: within 5 standard errors, false alarms 6e-7; 0 and 1 without exception."""
    values = Stream(3, "signs").draw(Signs(2.0, p), 200_000, dtype)
    assert set(np.unique(values)) <= {-2.0, 2.0}
    assert abs((values > 0).mean() - p) <= 5 * math.sqrt(p * (1 - p) / values.size)


def test_certain_signs_are_certain_at_the_last_word() -> None:
    ends = Draws(np.array([0, 2**32 - 1], np.uint32), np.array([0, 2**32 - 1], np.uint32))
    assert (Signs(1.0, 0.0).values(ends) == -1).all()
    assert (Signs(1.0, 1.0).values(ends) == 1).all()


@pytest.mark.parametrize("one", COMPLEX, ids=repr)
def test_complex_values_have_the_variance_and_any_phase(one: Any) -> None:
    """n = 200 000: E|z|**2 and E z within 5 standard errors; the phase by Kolmogorov-Smirnov.
    False alarms 4e-6 in all."""
    z = Stream(4, "z").draw(one, 200_000, "complex128")
    square = np.abs(z) ** 2
    error = square.std() / math.sqrt(z.size)
    assert abs(square.mean() - one.std_of_values() ** 2) <= 5 * error
    assert abs(z.mean()) <= 5 * one.std_of_values() / math.sqrt(z.size)
    assert abs((z**2).mean()) <= 5 * square.std() / math.sqrt(z.size) + 5 * error
    turns = np.angle(z) / (2 * np.pi) % 1
    assert stats.kstest(turns, "uniform").pvalue > 1e-6


def test_the_parts_of_a_complex_normal_are_two_streams_of_normals() -> None:
    z = Stream(4, "z").draw(ComplexNormal(2.0), (50, 20), "complex64")
    assert np.array_equal(z.real, Stream(4, "z").normal((50, 20), std=2.0 * math.sqrt(0.5)))
    assert abs(np.corrcoef(z.real.ravel(), z.imag.ravel())[0, 1]) < 5 / math.sqrt(z.size)


@pytest.mark.parametrize("bound", [0.05, 1.0, 2.0, 3.5, math.inf])
def test_a_cut_modulus_has_the_law_and_the_exact_variance(bound: float) -> None:
    """Kolmogorov-Smirnov, n = 100 000: false alarms 1e-6 each."""
    one = ComplexTruncatedNormal(1.0, bound)
    modulus = np.abs(Stream(5, "z").draw(one, 100_000, "complex128"))
    assert modulus.max() <= bound * (1 + 1e-15)
    whole = -math.expm1(-(bound**2))
    assert stats.kstest(modulus, lambda r: -np.expm1(-(r**2)) / whole).pvalue > 1e-6
    variance = 1 - bound**2 / math.expm1(bound**2) if bound < 10 else 1.0
    assert one.std_of_values() ** 2 == pytest.approx(variance, rel=1e-11)


def test_jaxs_constant_is_not_the_exact_one() -> None:
    """jax.nn.initializers divides by 0.95311164380491208 for a modulus cut at 2."""
    assert cut_modulus(2.0).std == pytest.approx(0.9619618280082135, abs=1e-16)
    assert cut_modulus(2.0).std / 0.95311164380491208 == pytest.approx(1.0092856, abs=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Laplace(math.nan, 1.0), "mean of laplace is nan; it must be a finite number"),
        (lambda: Laplace(0.0, -1.0), "scale of laplace is -1.0; it must be >= 0"),
        (lambda: Laplace(0.0, math.inf), "scale of laplace is inf"),
        (lambda: Signs(1.0, 1.5), r"p of signs is 1.5; a probability is in \[0, 1\]"),
        (lambda: Signs(-1.0, 0.5), "scale of signs is -1.0; it must be >= 0"),
        (lambda: ComplexNormal(-1.0), "std of complex_normal is -1.0; it must be >= 0"),
        (lambda: ComplexUniform(math.inf), "std of complex_uniform is inf"),
        (lambda: ComplexTruncatedNormal(1.0, 0.0), r"bound of complex_truncated_normal is 0.0"),
        (lambda: ComplexTruncatedNormal(1.0, math.nan), "bound of complex_truncated_normal is nan"),
    ],
)
def test_wrong_parameters_are_refused(make: Any, message: str) -> None:
    with pytest.raises(FaninError, match=message):
        make()


@pytest.mark.parametrize(
    ("one", "dtype"),
    [(Normal(0.0, 1.0), "complex64"), (Uniform(0.0, 1.0), "complex128"), (REAL[0], "complex64")],
)
def test_real_distributions_have_no_complex_values(one: Distribution, dtype: str) -> None:
    with pytest.raises(FaninError, match=f"dtype is '{dtype}'; allowed are float32, float64"):
        Stream(0, "a").draw(one, 3, dtype)


def test_complex_distributions_have_no_real_values() -> None:
    out = np.ones(3, np.float32)
    with pytest.raises(FaninError, match=r"allowed are complex64, complex128\."):
        Stream(0, "a").draw(COMPLEX[0], 3, out=out)
    with pytest.raises(FaninError, match="beyond the range of complex64"):
        Stream(0, "a").draw(ComplexNormal(1e39), 3, "complex64")
    assert (out == 1).all()
