"""Many draws in one call have the bits that each has alone."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanin import Stream
from fanin.streams import Distribution, Normal, TruncatedNormal, Uniform, backends, use_backend
from fanin.streams._address import region, stream_number
from fanin.streams._backends import current_fill_many
from fanin.streams._many import Job, fill_many
from fanin.streams._output import constants_of, raw
from tests.streams.test_agreement import DTYPES, laid_out, layouts, parts

DISTRIBUTIONS = (
    Uniform(-1.0, 2.0),
    Normal(0.5, 2.0),
    TruncatedNormal(0.0, 1.0, -2.0, 2.0),
    TruncatedNormal(1.0, 3.0, -0.5, 4.0),
)
draws = st.tuples(parts(), st.sampled_from(DISTRIBUTIONS), st.sampled_from(DTYPES), layouts)


def job(
    name: str, what: Distribution, dtype: str, shape: Any, index: Any, out: np.ndarray, order: Any
) -> Job:
    low = stream_number(name, "low") if dtype == "float64" else 0
    place = region(shape, index, order)
    constants = constants_of(what, dtype)
    numbers = stream_number(name), low
    return raw(out), dtype, place.base, place.steps, numbers, what.kind, constants


@given(st.lists(draws, max_size=9), st.integers(0, 2**64 - 1), st.randoms())
def test_any_draws(wanted: list[Any], seed: int, chance: random.Random) -> None:
    for backend in backends():
        with use_backend(backend):
            jobs, pairs = [], []
            for number, ((shape, index), what, dtype, layout) in enumerate(wanted):
                name, order = f"{number}.weight", [*range(len(shape))]
                chance.shuffle(order)
                alone = Stream(seed, name).draw(what, shape, dtype, index, order=order)
                out = laid_out(alone.shape, dtype, layout)
                jobs.append(job(name, what, dtype, shape, index, out, order))
                pairs.append((alone, out))
            fill_many(jobs, seed, fresh=chance.random() < 0.5)
            for alone, out in pairs:
                assert alone.tobytes() == out.tobytes()


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_share_large_and_small_ones(threads: int, fresh: bool) -> None:
    """Parts of one tensor, several tensors, and nothing at all for a thread."""
    shapes = [(3,), (0, 4), (700, 500), (), (1,), (64, 2000), (5000, 3, 3, 3), (350_003,), (2, 2)]
    for backend in backends()[:-1]:
        with use_backend(backend):
            jobs, pairs = [], []
            for number, shape in enumerate(3 * shapes):
                name, dtype = f"{number}.weight", DTYPES[number % len(DTYPES)]
                layout = ("rows", "columns", "permuted")[number % 3]
                out = laid_out(shape, dtype, layout)
                jobs.append(job(name, Normal(0.0, 1.0), dtype, shape, None, out, None))
                pairs.append((Stream(3, name).normal(shape, dtype=dtype, threads=1), out))
            current_fill_many()(jobs, 3, threads, fresh)
            for alone, out in pairs:
                assert alone.tobytes() == out.tobytes(), (backend, alone.shape)
