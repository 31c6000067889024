"""What the calibration of `fanin check` trains, for how long, and what "trains" means.

Fixed before the sweep. `CELLS` is a sample of the full factorial, limited to networks that one core
can train, in which every pair of levels is seen that they allow; and sweeps along the borders at
which training is known to end. A cell is trained from `SEEDS` at each of `RATES`; `trains` says
what came of it. `half` gives each cell to calibration, where limits may be chosen by it, or to the
report, where they may not.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from bench.calibration.cover import cover, digest, half_of

# Adam, which divides every gradient by its own size: what fails with it does not fail for
# want of a larger rate. Three rates, a factor of 20 from first to last.
OPTIMIZER = "adam"
RATES = (0.0005, 0.002, 0.01)
SEEDS = (0, 1, 2)
BATCH = 32
IMAGES = 1600  # for training; the same number from both data sets
PIXELS = 28 * 28
STEPS = 400  # eight epochs; sound networks need 30 to 150 steps
WINDOW = 20  # steps whose mean loss is compared with the target
# Half the loss of guessing: the frequencies of classes alone cannot reach it, nor can a network
# that tells a few classes apart, and no sound network stops above it.
TARGET = 0.5 * math.log(10)
CHECKED_IMAGES = 512  # in the one batch that the check sees


class Start(NamedTuple):
    """Initializers of weights and biases; a readout or the end of a branch may have its own."""

    weight: str
    bias: str = "zeros"
    readout: str | None = None
    readout_bias: str | None = None
    branch_end: str | None = None


def scaled(variance: float, bias: str = "zeros") -> Start:
    """Normal weights of this variance times the fan-in."""
    return Start(f"variance_scaling({variance:g}, 'fan_in', 'normal')", bias)


def below(bias: float) -> Start:
    """He weights, and hidden biases so far below zero that units of relu may be dead."""
    return Start("he_normal", f"constant({-bias:g})", readout_bias="zeros")


COMMON = {
    "he": Start("he_normal"),
    "glorot": Start("glorot_normal"),
    "lecun": Start("lecun_normal"),
    "torch": Start("torch_default", "torch_bias({fan_in})"),
    "orthogonal": Start("orthogonal"),
    "std 1": Start("normal(0, 1)"),
    "std 0.01": Start("normal(0, 0.01)"),
    "uniform 0..1": Start("uniform(0, 1)"),
    "uniform -.5...5": Start("uniform(-0.5, 0.5)"),
    "zeros": Start("zeros"),
    "constant": Start("constant(0.1)"),
    "bias -10": below(10),
}
DEVIATIONS = (0.03, 0.1, 0.3, 3)
GAINS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.5, 2, 3)  # factors on He's deviation
TANH = (1.0, 1.3, 1.5, 1.76, 2.0, 2.5, 4.0)  # weight variances; 1.76 is critical with this bias:
TANH_BIAS = "normal(0, 0.2236068)"  # variance 0.05
BIASES = (0.25, 0.5, 1, 2, 5)
STARTS = {
    **COMMON,
    **{f"he x {gain:g}": scaled(2 * gain**2) for gain in GAINS},
    **{f"sigma_w2 {variance:g}": scaled(variance, TANH_BIAS) for variance in TANH},
    **{f"bias {-bias:g}": below(bias) for bias in BIASES},
    **{f"std {std:g}": Start(f"normal(0, {std})") for std in DEVIATIONS},
    "zero readout": Start("he_normal", readout="zeros"),
    "zero branch ends": Start("he_normal", branch_end="zeros"),
}


@dataclass(frozen=True)
class Cell:
    """One kind of network. `depth` counts hidden layers; residual, those within blocks."""

    data: str
    depth: int
    width: int
    activation: str
    normalization: str
    residual: bool
    start: str

    @property
    def name(self) -> str:
        """All of it in one line; the key in the results."""
        kind = "residual" if self.residual else "plain"
        shape = f"{self.depth}x{self.width}"
        return "/".join((self.data, kind, self.normalization, self.activation, shape, self.start))

    @property
    def half(self) -> str:
        """`calibration` or `report`, by a hash of the name."""
        return half_of(self.name)

    @property
    def weights(self) -> int:
        """About how many weights the network has."""
        return self.depth * self.width**2 + PIXELS * self.width


LEVELS: dict[str, tuple[Any, ...]] = {
    "data": ("mnist", "digits"),
    "depth": (2, 4, 8, 16, 32, 64, 100),
    "width": (16, 32, 64, 128, 256),
    "activation": ("relu", "leaky_relu", "tanh", "sigmoid", "gelu", "selu"),
    "normalization": ("none", "layer", "batch"),
    "residual": (False, True),
    "start": tuple(COMMON),
}
SHAPES = 115
LARGEST = 500_000  # weights; the deepest networks are therefore not among the widest


def sample() -> list[Cell]:
    """A covering sample of the shapes that one core can train."""
    return cover(Cell, LEVELS, "calibration", SHAPES, lambda cell: cell.weights <= LARGEST)


def sweep(
    data: str = "mnist",
    depth: Sequence[int] = (20,),
    width: Sequence[int] = (64,),
    activation: Sequence[str] = ("relu",),
    normalization: Sequence[str] = ("none",),
    residual: bool = False,
    start: Sequence[str] = ("he",),
) -> list[Cell]:
    """All combinations of these levels."""
    return [
        Cell(data, *levels[:4], residual, levels[4])
        for levels in itertools.product(depth, width, activation, normalization, start)
    ]


# Where training is known, or expected, to end. In brackets: where the border was published.
BORDERS = (
    sweep(depth=(6, 10, 14, 18, 22, 26, 30, 40), start=("glorot",)),  # He et al. 2015
    sweep(depth=(10, 20, 30, 50), width=(16, 32, 128), start=("he",)),  # Hanin & Rolnick 2018
    sweep(depth=(3, 5, 6, 7, 9, 12), start=("torch",)),
    sweep(depth=(5, 10, 15, 20, 30), activation=("tanh",), start=("torch", "glorot")),
    sweep(  # Schoenholz et al. 2017
        depth=(10, 25, 50),
        activation=("tanh",),
        start=[f"sigma_w2 {variance:g}" for variance in TANH],
    ),
    sweep(depth=(1, 2, 3, 5, 7), activation=("sigmoid",), start=("glorot", "he", "std 1")),
    sweep(depth=(1, 2, 3, 6), start=("std 0.01", "std 0.03", "std 0.1", "std 0.3", "std 1")),
    sweep(depth=(1, 2, 5), activation=("tanh",), start=("std 0.1", "std 0.3", "std 1", "std 3")),
    sweep(start=[f"he x {gain:g}" for gain in GAINS]),
    sweep(depth=(3, 6), start=[f"bias {-bias:g}" for bias in BIASES]),
    sweep(depth=(12, 24, 48), residual=True, start=("he", "glorot", "zero branch ends")),
    sweep(depth=(20, 50), normalization=("batch", "layer"), start=("he", "glorot")),
    sweep(depth=(20, 50), activation=("selu",), start=("lecun",)),
    sweep(depth=(20, 50), activation=("gelu",), start=("he", "orthogonal")),
    sweep(depth=(50, 100), activation=("tanh",), start=("orthogonal",)),
    sweep(depth=(2, 6), start=("zero readout",)),
    sweep("digits", depth=(2, 4, 8, 16), start=("he", "glorot", "torch")),
)


def trains(reached: Sequence[Sequence[int]]) -> bool:
    """At any rate, did at least half of the seeds reach the target? A row for each rate; 0: no."""
    return any(2 * sum(step > 0 for step in row) >= len(row) for row in reached)


CELLS = tuple({cell.name: cell for cell in itertools.chain(sample(), *BORDERS)}.values())


def stacks() -> list[tuple[Cell, ...]]:
    """The cells by shape, in an order by hash: where the sweep is cut short, a sample is done."""
    shapes: dict[Cell, list[Cell]] = {}
    for cell in CELLS:
        shapes.setdefault(replace(cell, start=""), []).append(cell)
    return sorted(map(tuple, shapes.values()), key=lambda cells: digest(cells[0].name))
