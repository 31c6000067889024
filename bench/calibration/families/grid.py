"""What is trained in eight families besides MLPs, for how long, and what "trains" means.

Fixed before the sweep. Every family has a sample of its factorial, in which pairs of levels are as
many as so few shapes can show, and sweeps along borders. A cell is trained under each of `RATES`'
optimizers, at its rates, from `SEEDS`; it trains under an optimizer if at one of the rates two
seeds reach the target. `half` gives each cell to calibration, where limits may be chosen by it, or
to the report, where they may not.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.calibration.cover import Levels, cover, digest, half_of

# The middle one first: most networks that train do there, and a cell that trains needs no others.
RATES: Mapping[str, tuple[float, ...]] = {
    "adamw": (0.002, 0.0005, 0.01),  # torch's defaults but for the rate
    "sgd": (0.02, 0.1, 0.004, 0.5),  # momentum 0.9
}
SEEDS = (0, 1, 2)  # the third decides where two disagree
STEPS = 400  # sound networks need 20 to 200 at the better rates
WINDOW = 20  # steps whose mean loss is compared with the target
CHECKED = 256  # rows in the one batch that the check sees

STARTS = (
    "own",  # what the constructors of torch's layers draw
    "auto",
    "he",
    "glorot",
    "lecun",
    "orthogonal",
    "std 0.001",
    "std 0.02",
    "std 0.2",
    "std 1",
    "uniform 0..1",
    "uniform -.5...5",
    "zeros",
    "constant",
    "bias -5",
    "zero head",
    "own x 0.1",
    "own x 0.3",
    "own x 3",
    "own x 10",
)
PIECEWISE, SMOOTH = ("relu", "leaky_relu"), ("tanh", "gelu", "silu", "elu", "sigmoid")
ACTIVATIONS = PIECEWISE + SMOOTH
SHAPES = 20  # of each family, with three starts each


@dataclass(frozen=True)
class Cell:
    """One kind of network; what a factor means in a family is told where the family is built."""

    family: str
    form: str
    depth: int
    width: int
    activation: str
    normalization: str
    start: str

    @property
    def name(self) -> str:
        """All of it in one line; the key in the results."""
        shape = f"{self.depth}x{self.width}"
        return "/".join(
            (self.family, self.form, self.normalization, self.activation, shape, self.start)
        )

    @property
    def half(self) -> str:
        """`calibration` or `report`, by a hash of the name."""
        return half_of(self.name)


def _family(
    name: str,
    form: Sequence[str],
    depth: Sequence[int],
    width: Sequence[int],
    activation: Sequence[str] = ACTIVATIONS,
    normalization: Sequence[str] = ("none",),
) -> Levels:
    return {
        "family": (name,),
        "form": tuple(form),
        "depth": tuple(depth),
        "width": tuple(width),
        "activation": tuple(activation),
        "normalization": tuple(normalization),
        "start": STARTS,
    }


FAMILIES: Mapping[str, Levels] = {
    levels["family"][0]: levels
    for levels in (
        _family(
            "cnn",
            ("plain", "residual", "mobile"),
            (2, 4, 8, 16, 32),
            (8, 16, 32),
            ACTIVATIONS,
            ("none", "batch", "group"),
        ),
        _family(
            "transformer",
            ("pre", "post", "none"),
            (1, 2, 4, 8, 12, 24),
            (16, 32, 64),
            ("relu", "gelu", "silu"),
            ("layer", "rms"),
        ),
        _family(
            "mixer",
            ("pre", "post"),
            (1, 2, 4, 8, 16),
            (16, 32, 64),
            ("relu", "gelu", "silu", "tanh"),
            ("none", "layer"),
        ),
        _family(
            "recurrent",
            [
                f"{kind} {way}"
                for kind in ("rnn", "lstm", "gru")
                for way in ("last", "mean", "long")
            ],
            (1, 2, 3, 4),
            (8, 16, 32, 64),
            ("tanh",),
        ),
        _family(
            "graph",
            ("gcn", "sage", "gin", "gat"),
            (1, 2, 4, 8, 16),
            (16, 32, 64),
            ("relu", "elu", "tanh", "gelu"),
            ("none", "layer", "batch"),
        ),
        _family(
            "autoencoder",
            ("dense", "convolutional"),
            (1, 2, 3, 5, 8),
            (16, 32, 64),
            ACTIVATIONS,
            ("none", "batch"),
        ),
        _family(
            "language",
            ("transformer", "lstm", "gru", "tcn"),
            (1, 2, 4, 6),
            (16, 32, 64),
            ("relu", "gelu", "tanh"),
            ("none", "layer"),
        ),
        _family(
            "regression",
            ("table", "raw table", "image"),
            (1, 2, 4, 8, 16, 32),
            (16, 64, 256),
            ACTIVATIONS,
            ("none", "layer", "batch"),
        ),
    )
}


def _sweep(
    family: str,
    form: str,
    depth: Sequence[int],
    start: Sequence[str],
    width: int = 32,
    activation: Sequence[str] = ("relu",),
    normalization: str = "none",
) -> list[Cell]:
    """All combinations of these levels."""
    return [
        Cell(family, form, layers, width, function, normalization, begun)
        for layers, function, begun in itertools.product(depth, activation, start)
    ]


# Where training is known, or expected, to end.
BORDERS = (
    _sweep("cnn", "plain", (4, 8, 12, 20, 30), ("own", "glorot", "he", "auto"), width=16),
    _sweep("cnn", "plain", (12,), ("own", "auto"), 16, ("silu", "tanh", "sigmoid")),
    _sweep("cnn", "residual", (16, 32), ("own", "he"), width=16),
    _sweep("transformer", "pre", (2, 12, 24), ("own", "he", "std 0.02"), 32, ("gelu",), "layer"),
    _sweep("transformer", "post", (2, 6, 12, 24), ("own", "std 0.02"), 32, ("gelu",), "layer"),
    _sweep("transformer", "none", (2, 6, 12, 24), ("own", "auto"), 32, ("gelu",), "layer"),
    _sweep("mixer", "pre", (4, 16), ("own", "auto", "he", "std 0.02"), 32, ("gelu",)),
    _sweep("mixer", "pre", (4, 16), ("own", "he", "std 1"), 32, ("gelu",), "layer"),
    _sweep("recurrent", "rnn long", (1, 3), ("own", "orthogonal", "std 1"), 32, ("tanh",)),
    _sweep("recurrent", "lstm long", (1, 3), ("own", "he", "std 1"), 32, ("tanh",)),
    _sweep("recurrent", "gru last", (1, 3), ("own", "std 0.02", "std 1"), 32, ("tanh",)),
    _sweep("graph", "gcn", (2, 4, 8, 16), ("own", "glorot", "he")),
    _sweep("graph", "gin", (2, 4, 8), ("own", "auto")),
    _sweep("autoencoder", "dense", (2, 5, 8), ("own", "he", "auto"), 64, ("relu", "sigmoid")),
    _sweep("autoencoder", "convolutional", (3, 8), ("own", "he"), 32),
    _sweep("language", "transformer", (2, 6), ("own", "std 0.02", "std 1"), 32, ("gelu",), "layer"),
    _sweep("language", "lstm", (1, 2), ("own", "std 1", "uniform -.5...5"), 32),
    _sweep("language", "tcn", (2, 6), ("own", "he", "auto"), 32),
    _sweep("regression", "table", (2, 8, 20), ("own", "he", "auto"), 64, ("relu", "tanh")),
    _sweep("regression", "raw table", (2, 4), ("own", "he"), 64),
)


def _fits(cell: Cell) -> bool:
    """What one core can train: deep networks are not among the widest."""
    return cell.depth * cell.width <= 1024


def _chosen() -> list[Cell]:
    samples = (
        cover(Cell, levels, f"calibration {family}", SHAPES, _fits)
        for family, levels in FAMILIES.items()
    )
    cells: list[Any] = [*itertools.chain.from_iterable(samples), *itertools.chain(*BORDERS)]
    return list({cell.name: cell for cell in cells}.values())


# In an order by hash: where the sweep is cut short, a sample is done.
CELLS = sorted(_chosen(), key=lambda cell: digest(cell.name))
BY_NAME = {cell.name: cell for cell in CELLS}
