"""What is measured, how much of it, and the article's figures."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fanin.studies._study import Scale
from fanin.studies.rng import _network

LOOP_MS, GENERATOR_MS = 14344, 209  # the article's, on its machine
LOOP_TRAINING_MS, TRAINING_MS = 2303, 2310  # its training on a GPU behind either
UNIFORM_MS, HALF_MS = 1.250, 2.620  # its matrix: uniform, and Box-Muller with half thrown away
WIDTHS = (10_000, 5_000, 1_000, 10)
SIDE = 100  # the matrix has 10,000 elements
REPEATS = 20  # draws of the matrix in a timed call: one is too short for the clock
SEED = 0
TAILS = (3.0, 4.0, 4.5)
LOOP, ARRAYS = "a loop in Python", "arrays of NumPy"
BOX_MULLER, INVERSION = "Box-Muller, float64", "inversion, float64, SciPy"


@dataclass(frozen=True)
class RngSize:
    """How much is measured at a scale."""

    rounds: int
    words: int
    widths: tuple[int, ...]
    cpu_inputs: int


SIZES: Mapping[Scale, RngSize] = {
    "quick": RngSize(2, 2**16, (1000, 500, 100, 10), 20),
    "full": RngSize(9, 2**23, WIDTHS, 200),
}


def expect(size: RngSize) -> list[float]:
    """How many of the values a normal law puts beyond each bound."""
    return [size.words * math.erfc(tail / math.sqrt(2)) for tail in TAILS]


def values_of(size: RngSize) -> int:
    """How many weights the network has."""
    return sum(rows * columns for rows, columns in _network.shapes(size.widths).values())


def loop_ms(found: Mapping[str, Any], size: RngSize) -> float:
    """What Python's random.gauss would take for the network."""
    per_matrix: float = found["matrix"]["Gaussian"]["Python's random"]
    return per_matrix * values_of(size) / SIDE**2


def digits(milliseconds: float) -> str:
    """A time as text: two of quick runs are below a millisecond, and differ in their digits."""
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
