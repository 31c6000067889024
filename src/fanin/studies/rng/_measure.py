"""The transforms' values, and times of draws and transforms."""

import math
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
from fanin.studies.rng._setup import (
    ARRAYS,
    BOX_MULLER,
    INVERSION,
    LOOP,
    REPEATS,
    SEED,
    SIDE,
    TAILS,
)


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


def half_thrown(rounds: int, advance: Advance) -> dict[str, dict[str, float]]:
    """Milliseconds for one float64 matrix, uniform and by Box-Muller with half thrown away."""
    python, generator = random.Random(SEED), np.random.default_rng(SEED)
    shape, turn = (SIDE, SIDE), 2 * math.pi

    def box_muller() -> float:
        radius = math.sqrt(-2 * math.log(1 - python.random()))
        return radius * math.cos(turn * python.random())

    def both() -> object:
        radius = np.sqrt(-2 * np.log(1 - generator.random(shape)))
        return radius * np.cos(turn * generator.random(shape))

    draws: dict[str, dict[str, Callable[[], object]]] = {
        LOOP: {
            "uniform": lambda: [python.random() for _ in range(SIDE * SIDE)],
            "Box-Muller": lambda: [box_muller() for _ in range(SIDE * SIDE)],
        },
        ARRAYS: {"uniform": lambda: generator.random(shape), "Box-Muller": both},
    }
    return {
        who: {
            kind: time / REPEATS
            for kind, time in interleave(
                {kind: partial(_repeat, draw) for kind, draw in kinds.items()}, rounds, advance
            ).items()
        }
        for who, kinds in draws.items()
    }


def redraw(advance: Advance) -> dict[str, int]:
    """How many values of a matrix change where its rows are drawn last to first.

    `stream` is fanin's, each row from a stream made anew; `generator` is torch's.
    """
    shape = (SIDE, SIDE)
    whole = Stream(SEED, "matrix").normal(shape)
    rows = [Stream(SEED, "matrix").normal(shape, index=row) for row in reversed(range(SIDE))]
    ordered, reverse = (
        torch.stack([torch.empty(SIDE).normal_(generator=generator) for _ in range(SIDE)])
        for generator in (torch.Generator().manual_seed(SEED) for _ in range(2))
    )
    return {
        "values": whole.size,
        "stream": int((np.stack(rows[::-1]) != whole).sum()),
        "generator": int((reverse.flip(0) != ordered).sum()),
    }


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
