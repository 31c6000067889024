"""The transforms' values, and times of draws and transforms."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import stats

from fanin.streams import Stream
from fanin.studies._study import Advance
from fanin.studies.rng import _transforms
from fanin.studies.rng._interleaved import interleave
from fanin.studies.rng._setup import BOX_MULLER, INVERSION, REPEATS, SEED, SIDE, TAILS


def transforms(count: int, advance: Advance) -> dict[str, Any]:
    """Errors, tails and ends of both transforms, on the same words."""
    words = Stream(SEED, "words").words(count)
    single = _transforms.uniforms(words, np.float32)
    ends = np.array([0, 2**32 - 1], np.uint32)
    # The smallest uniform number for the radius, and angles of a whole turn and half of one.
    corners = np.array([2**32 - 1, 2**32 - 1, 0, 2**31], np.uint32)
    both = {
        "Box-Muller": (
            _transforms.box_muller(single),
            _transforms.box_muller(single.astype(np.float64)),  # of the same 24 bits
            _transforms.box_muller(_transforms.uniforms(corners, np.float32)),
        ),
        "inversion": (
            _transforms.inversion(words),
            _transforms.quantiles(words),
            _transforms.inversion(ends),
        ),
    }
    found: dict[str, Any] = {}
    for name, (values, exact, extreme) in both.items():
        error = np.abs(values - exact)
        relative = np.divide(error, np.abs(exact), out=np.zeros_like(exact), where=error > 0)
        found[name] = {
            "largest": float(np.abs(extreme).max()),
            "error": float(error.max()),
            "relative_error": float(relative.max()),
            "ks": float(stats.kstest(values, "norm").pvalue),
            "beyond": [int((np.abs(values) > tail).sum()) for tail in TAILS],
        }
    found["unlike_the_stream"] = int(
        (both["inversion"][0] != Stream(SEED, "words").normal((count,))).sum()
    )
    return found


def matrix(rounds: int, advance: Advance) -> dict[str, dict[str, float]]:
    """Milliseconds for one matrix, uniform and Gaussian."""
    array = np.zeros((SIDE, SIDE), np.float32)
    tensor, generator = torch.from_numpy(array), np.random.default_rng(SEED)
    python = random.Random(SEED)
    stream = Stream(SEED, "matrix")
    kinds: dict[str, dict[str, Callable[[], object]]] = {
        "uniform": {
            "fanin": lambda: stream.uniform(array.shape, out=array, threads=1),
            "torch": lambda: tensor.uniform_(),
            "NumPy": lambda: generator.random(dtype=np.float32, out=array),
            "Python's random": lambda: [python.random() for _ in range(SIDE * SIDE)],
        },
        "Gaussian": {
            "fanin": lambda: stream.normal(array.shape, out=array, threads=1),
            "torch": lambda: tensor.normal_(),
            "NumPy": lambda: generator.standard_normal(dtype=np.float32, out=array),
            "Python's random": lambda: [python.gauss() for _ in range(SIDE * SIDE)],
        },
    }
    found = {}
    for kind, draws in kinds.items():
        repeated = {name: partial(_repeat, draw) for name, draw in draws.items()}
        times = interleave(repeated, rounds, advance)
        found[kind] = {name: time / REPEATS for name, time in times.items()}
    return found


def _repeat(draw: Callable[[], object]) -> None:
    for _ in range(REPEATS):
        draw()


def transform_times(rounds: int, count: int, advance: Advance) -> dict[str, float]:
    """Milliseconds from the same words to values, each a value for a word."""
    stream = Stream(SEED, "words")
    words = stream.words(count)

    def box_muller(words: _transforms.Words, dtype: Any) -> object:
        return _transforms.box_muller(_transforms.uniforms(words, dtype))

    return interleave(
        {
            "Box-Muller, float32": lambda: box_muller(words, np.float32),
            BOX_MULLER: lambda: box_muller(words, np.float64),
            INVERSION: lambda: _transforms.quantiles(words),
            "inversion, float32, the stream's definition": lambda: _transforms.inversion(words),
            "the stream itself, its words too": lambda: stream.normal((count,), threads=1),
        },
        rounds,
        advance,
    )
