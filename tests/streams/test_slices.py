"""A slice drawn alone is the slice of the whole; names and seeds make different streams."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from fanin import Stream
from fanin.streams import Normal

SHAPE = (3, 4, 5, 6)


@given(st_numpy.basic_indices(SHAPE, allow_newaxis=False))
def test_every_basic_index_of_numpy_selects_what_numpy_selects(index: object) -> None:
    stream = Stream(0, "a")
    whole = stream.normal(SHAPE)
    alone = stream.normal(SHAPE, index=index)
    assert isinstance(alone, np.ndarray)
    assert alone.shape == np.shape(whole[index])
    assert alone.tobytes() == whole[index].tobytes()


@pytest.mark.parametrize("shape", [(), 0, (0,), (3, 0, 2), 1, (1, 1, 1), 5, [2, 3]])
def test_any_shape_has_an_array(backend: str, shape: object) -> None:
    drawn = Stream(0, "a").normal(shape)
    assert drawn.shape == np.zeros(shape).shape
    assert drawn.dtype == np.float32
    assert np.array_equal(drawn.ravel(), Stream(0, "a").normal(drawn.size))


def test_a_single_element_has_no_axes(backend: str) -> None:
    whole = Stream(0, "a").normal((3, 4))
    element = Stream(0, "a").normal((3, 4), index=(1, np.int64(-1)))
    assert element.shape == ()
    assert element == whole[1, -1]


def test_as_many_axes_as_numpy_has(backend: str) -> None:
    shape = (1,) * 60 + (2, 1, 3, 2)
    assert np.array_equal(Stream(0, "a").normal(shape).ravel(), Stream(0, "a").normal(12))


@given(
    st.lists(st.integers(0, 400), max_size=4), st.sampled_from(["float32", "float64", "float16"])
)
def test_chunks_joined_are_the_whole(cuts: list[int], dtype: str) -> None:
    stream = Stream(1, "chunks")
    edges = [0, *sorted(cuts), 400]
    chunks = [
        stream.normal((400, 3), dtype=dtype, index=slice(first, last))
        for first, last in itertools.pairwise(edges)
    ]
    assert np.concatenate(chunks).tobytes() == stream.normal((400, 3), dtype=dtype).tobytes()


def test_rows_appended_to_a_table_move_nothing() -> None:
    small, large = Stream(0, "table").normal((50, 8)), Stream(0, "table").normal((64, 8))
    assert np.array_equal(small, large[:50])


def test_a_step_beyond_the_axis_takes_one_element(backend: str) -> None:
    stream = Stream(0, "a")
    assert np.array_equal(stream.normal(5, index=slice(1, None, 2**70)), stream.normal(5)[1:2])
    far = stream.normal((10, 2**30), index=(slice(3, None, 2**40), slice(0, 2)))
    assert np.array_equal(far, stream.normal((10, 2**30), index=(slice(3, 4), slice(0, 2))))


def test_an_empty_slice_of_a_huge_shape_is_empty(backend: str) -> None:
    index = (slice(2**40, None, -1), slice(5, 5))
    assert Stream(0, "a").normal((2**40, 2**20), index=index).shape == (2**40, 0)


def test_names_seeds_and_lookalikes_differ() -> None:
    streams = [
        *(Stream(seed, "a") for seed in (0, 1, 2**32, 2**64 - 1)),
        *(Stream(0, name) for name in ("b", "A", "a.", "a ", "å", "a\u030a", "aa", "alow")),
    ]
    firsts = [stream.words(64).tobytes() for stream in streams]
    assert len(set(firsts)) == len(streams)
    numbers = {number for stream in streams for number in stream._numbers("float64")}
    assert len(numbers) == 2 * len({stream.name for stream in streams})


def test_a_stream_is_a_value() -> None:
    stream = Stream(np.uint8(3), "a")
    assert stream == Stream(3, "a")
    assert hash(stream) == hash(Stream(3, "a"))
    assert stream != Stream(4, "a")
    assert repr(stream) == "Stream(seed=3, name='a', version=1)"
    assert eval(repr(stream)) == stream
    for copied in (copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))):
        assert copied == stream
        assert np.array_equal(copied.normal(8), stream.normal(8))


def test_drawing_again_gives_the_same_values() -> None:
    stream = Stream(0, "a")
    assert np.array_equal(stream.normal(100), stream.normal(100))


@given(st.permutations(range(4)))
def test_order_says_which_axis_counts_slowest(order: list[int]) -> None:
    stream = Stream(0, "a")
    canonical = stream.normal([SHAPE[axis] for axis in order])
    stored = stream.draw(Normal(0.0, 1.0), SHAPE, order=order)
    assert np.array_equal(stored.transpose(order), canonical)
