"""Every back end draws the reference's bits, whatever the shape, slice, layout and threads."""

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fanin import FaninError, Stream
from fanin.streams import (
    Distribution,
    Normal,
    TruncatedNormal,
    Uniform,
    backends,
    use_backend,
)

FAST = [name for name in backends() if name != "reference"]
DTYPES = ("float32", "float64", "bfloat16", "float16")

pytestmark = pytest.mark.skipif(not FAST, reason="there is the reference only")

numbers = st.one_of(
    st.floats(-10, 10),
    st.sampled_from([0.0, -0.0, 1.0, 1e-46, -1e-46, 1e-38, 1e30]),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
)
stds = numbers.map(abs)
bounds = st.one_of(st.floats(-13, 13), st.sampled_from([-math.inf, math.inf]), numbers)
distributions = st.one_of(
    st.builds(lambda a, b: (Uniform, a, b), numbers, numbers),
    st.builds(lambda a, b: (Normal, a, b), numbers, stds),
    st.builds(lambda a, b, c, d: (TruncatedNormal, a, b, c, d), numbers, stds, bounds, bounds),
)
layouts = st.sampled_from(["rows", "columns", "every other", "backwards", "permuted"])


@st.composite
def parts(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    """A shape of up to five axes and an index of it."""
    shape = tuple(draw(st.lists(st.integers(0, 7), max_size=5)))
    if draw(st.booleans()):  # one that is long enough for whole vectors and tiles
        shape = (*shape[:2], draw(st.integers(100, 3000)))
    items: list[Any] = []
    for size in shape[: draw(st.integers(0, len(shape)))]:
        if size and draw(st.booleans()):
            items.append(draw(st.integers(-size, size - 1)))
        else:
            items.append(draw(st.slices(size)))
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), ...)
        after = len(items) - items.index(...) - 1
        for axis in range(after):  # the items behind the dots belong to the last axes
            size = shape[len(shape) - after + axis]
            items[len(items) - after + axis] = draw(st.slices(size))
    return shape, tuple(items)


def laid_out(shape: tuple[int, ...], dtype: str, layout: str) -> np.ndarray:
    """An array of ones, with this memory layout."""
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    if layout == "columns":
        return np.ones(shape[::-1], kind).T
    if layout == "every other":
        return np.ones([2 * size for size in shape], kind)[
            ..., *[slice(None, None, 2)] * len(shape)
        ]
    if layout == "backwards":
        return np.ones(shape, kind)[..., *[slice(None, None, -1)] * len(shape)]
    if layout == "permuted":
        turned = np.ones((*shape[1:], *shape[:1]), kind)
        return np.moveaxis(turned, -1, 0) if shape else turned
    return np.ones(shape, kind)


def made(what: tuple[Any, ...]) -> Distribution:
    try:
        distribution: Distribution = what[0](*what[1:])
    except FaninError:
        assume(False)
    return distribution


@settings(max_examples=250)
@given(
    distributions, st.sampled_from(DTYPES), st.integers(0, 2**62 - 500), st.integers(0, 2**64 - 1)
)
@example((Normal, -0.0, 0.0), "float32", 0, 0)
@example((TruncatedNormal, -0.0, 0.0, -2.0, 2.0), "float32", 0, 0)
@example((TruncatedNormal, 0.0, 1e-44, -math.inf, 0.0), "float32", 0, 0)
@example((TruncatedNormal, 0.0, 3e-27, -7e-30, 4e-28), "float32", 0, 0)
@example((TruncatedNormal, 0.0, 1.0, 12.5, 13.0), "float32", 2**33, 0)
@example((TruncatedNormal, 0.0, 1.0, -2.0, 1e39), "float32", 0, 0)
@example((TruncatedNormal, -1e39, 2e38, 5.0, 5.1), "float32", 0, 0)
@example((TruncatedNormal, 1.0, 1e20, 0.0, 6e-155), "float64", 0, 0)
def test_any_distribution(what: tuple[Any, ...], dtype: str, start: int, seed: int) -> None:
    stream, distribution, where = Stream(seed, "a.weight"), made(what), slice(start, start + 500)
    drawn: dict[str, object] = {}
    for name in backends():
        with use_backend(name):
            try:
                drawn[name] = stream.draw(distribution, 2**62, dtype, where).tobytes()
            except FaninError as error:
                drawn[name] = str(error)
    assert all(values == drawn["reference"] for values in drawn.values())


@settings(max_examples=300)
@given(parts(), st.sampled_from(DTYPES), layouts, st.integers(1, 7), st.randoms())
def test_any_slice_and_layout(
    part: tuple[tuple[int, ...], Any], dtype: str, layout: str, threads: int, random: Any
) -> None:
    """The slice of the whole, drawn by the reference as stored and then permuted by NumPy."""
    shape, index = part
    order = list(range(len(shape)))
    random.shuffle(order)
    stream, normal = Stream(1, "слой"), Normal(0.0, 1.0)
    with use_backend("reference"):
        canonical = stream.draw(normal, [shape[axis] for axis in order], dtype)
    whole = canonical.transpose([order.index(axis) for axis in range(len(shape))])
    expected = whole[index]
    for name in backends():
        with use_backend(name):
            alone = stream.draw(normal, shape, dtype, index, threads=threads, order=order)
            assert alone.shape == expected.shape
            assert alone.tobytes() == expected.tobytes(), name
            out = laid_out(expected.shape, dtype, layout)
            result = stream.draw(normal, shape, dtype, index, out, threads, order)
            assert result is out
            assert out.tobytes() == expected.tobytes(), name


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("shape", [(700, 500), (3, 64, 2000), (5000, 3, 3, 3), (350_003,)])
def test_threads_and_layouts_of_large_arrays(name: str, shape: tuple[int, ...]) -> None:
    """Large enough that up to three threads really share the work."""
    stream = Stream(2, "a")
    with use_backend(name):
        for dtype in DTYPES:
            whole = stream.normal(shape, dtype=dtype, threads=1).tobytes()
            for threads in (2, 3, 7):
                assert stream.normal(shape, dtype=dtype, threads=threads).tobytes() == whole
            for layout in ("columns", "backwards", "permuted"):
                out = laid_out(shape, dtype, layout)
                stream.normal(shape, dtype=dtype, out=out, threads=3)
                assert out.tobytes() == whole


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_arrays_are_the_references(dtype: str) -> None:
    drawn = set()
    for name in backends():
        with use_backend(name):
            drawn.add(Stream(2, "a").truncated_normal((317, 501), dtype=dtype).tobytes())
    assert len(drawn) == 1


@pytest.mark.parametrize("start", [0, 2**32 - 50, 2**34 - 50, 2**40 + 1, 2**58 - 200])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_addresses_in_scattered_slices(start: int, dtype: str) -> None:
    index = (slice(None, None, -3), slice(start, start + 300, 7), 2)
    drawn = set()
    for name in backends():
        with use_backend(name):
            drawn.add(Stream(9, "a").uniform((8, 2**58, 3), index=index, dtype=dtype).tobytes())
    assert len(drawn) == 1
