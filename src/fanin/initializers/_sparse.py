"""Sparse: normal values with a fixed number of zeros in every column."""

import math
from dataclasses import dataclass

import numpy as np

from fanin.axes import Axes
from fanin.errors import FaninError, as_number, quote
from fanin.initializers._base import Request, Whole, expression
from fanin.initializers._entry import Entry
from fanin.initializers._maps import change_maps, check_maps, gaussian, mean_over_maps
from fanin.initializers._parts import cells, from_cells
from fanin.streams import Array
from fanin.streams._address import stream_number
from fanin.streams._backends import check_threads, current_fill


@dataclass(frozen=True, slots=True, repr=False)
class Sparse(Whole):
    """See `sparse`."""

    sparsity: float
    std_of_others: float

    def __post_init__(self) -> None:
        sparsity, std = as_number(self.sparsity), as_number(self.std_of_others)
        if not 0 <= sparsity <= 1:
            raise FaninError(
                f"sparsity of sparse is {quote(self.sparsity)}; it is the fraction of zeros in a "
                "column, in [0, 1]."
            )
        if not (math.isfinite(std) and std > 0):
            raise FaninError(
                f"std of sparse is {quote(self.std_of_others)}; it must be a finite number > 0."
            )
        object.__setattr__(self, "sparsity", sparsity)
        object.__setattr__(self, "std_of_others", std)

    def _values(self, request: Request, precision: str) -> Array:
        values = gaussian(request, precision, std=self.std_of_others)
        zero = change_maps(_words(request), request.axes, self._smallest)
        values[zero] = 0.0
        return values

    def _smallest(self, words: Array) -> Array:
        """Where the smallest words of every column (stack, group, in, kernel) are; ties by row."""
        rows = words.shape[2]
        count = self._zeros(rows)
        if count == 0:
            return np.zeros(words.shape, bool)
        row = np.arange(rows, dtype=np.uint64)[:, None, None]
        keys = words.astype(np.uint64) << np.uint64(32) | row
        last = np.partition(keys, count - 1, axis=2)[:, :, count - 1 : count]
        smallest: Array = keys <= last
        return smallest

    def _zeros(self, rows: int) -> int:
        return math.ceil(self.sparsity * rows)

    def _check(self, shape: tuple[int, ...], axes: Axes) -> None:
        check_maps("sparse", shape, axes)

    def _std(self, shape: tuple[int, ...], axes: Axes) -> float:
        self._check(shape, axes)

        def count_kept(outputs: int, inputs: int, kernel: int) -> float:
            return 1 - self._zeros(outputs) / max(outputs, 1)

        return self.std_of_others * math.sqrt(mean_over_maps(shape, axes, count_kept))

    def __repr__(self) -> str:
        return expression("sparse", self.sparsity, self.std_of_others)


def _words(request: Request) -> Array:
    """The words of the child stream `zeros` at the weight's own addresses, as it is stored."""
    sizes = cells(request.shape, request.axes)
    words = np.empty(math.prod(sizes), np.uint32)
    numbers = stream_number(request.name, "zeros"), 0
    threads = check_threads(request.threads, words.size)
    seed = int(request.seed)
    current_fill()(words, "uint32", 0, None, seed, numbers, "words", (), threads)
    return from_cells(words.reshape(sizes), request.shape, request.axes)


def sparse(sparsity: float, std: float = 0.01) -> Sparse:
    """Normal values, but for a fixed number of zeros in every column, at random places.

    Formula: W[o, i] ~ N(0, std**2), and 0 for ceil(sparsity * out) of the outputs o of every
    input i (and kernel position): where the words of the child stream `zeros` are the smallest
    of the column.
    Reads: out, in, kernel: the columns of every stack, group and packed block.
    Preserves: nothing; few inputs reach a unit, so that it can be far from 0 unsaturated.
    Units: `std` is that of the values that are kept; `.std(shape)` counts the zeros too.
    Source: Martens 2010, section 5.
    Differs: torch.nn.init.sparse_ takes two axes only, and draws the places of the zeros from
    the global generator even if it is given one; JAX and Keras have no such initializer.

    >>> round(sparse(0.9).std((100, 50)), 9)
    0.003162278
    >>> (sparse(0.5)((4, 3), seed=0, name="w") == 0).sum(axis=0).tolist()
    [2, 2, 2]
    """
    return Sparse(sparsity, std)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "sparse",
        sparse,
        "out, in, kernel",
        "nothing; few inputs reach a unit",
        "Martens 2010, section 5",
        "sparse(0.9, 0.02)",
        formula="N(0, std**2), and 0 for ceil(sparsity * out) values of a column",
    ),
)
